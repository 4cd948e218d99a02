"""What risk knows: limits, and books of its own about orders, positions and money. Router thread only.

Four scales meet here. A listing's and an instrument's are Listing.price_decimals and quantity_decimals; what a
price times a quantity gives in the instrument's scale becomes `money` by one exact multiplication, so that instruments
of one currency can be added up (Exposure.money_factor). Amounts of different currencies never are: every limit on
money is one per currency. An order on a listing in another quote currency than its instrument's carries the rate that
it was priced with (ChildOrder.rate), and is judged and booked in the instrument's currency at that rate.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.fixed cimport int128
from orderflow._core.token_bucket cimport TokenBucket

cdef enum:
    FRACTION = 100000000        # collars and fees are fractions in 1e-8
    REFERENCES = 64             # samples of a reference price; they span more than the window of the drift collar
    RECENT = 64                 # parent orders that are remembered of a strategy
    NOBODY = 0xFFFFFFFF         # no order slot
    BUYS = 0
    SELLS = 1


cdef struct Stake:              # a position and what is open beside it, instrument scale
    int128 net
    int128 open_buys            # may still be bought, in doubt included
    int128 open_sells
    int128 used                 # money: what it would be worth if all that is open on the larger side were filled
    int128 worth                # money: the position at the reference price, negative when short


cdef struct ListingLimits:      # the listing's scale; notionals are products of its scaled price and quantity
    int128 minimum_notional
    int128 maximum_notional
    int64_t tick
    int64_t lot
    int64_t minimum_quantity
    int64_t maximum_quantity
    int64_t price_factor        # to the instrument's scale
    int64_t quantity_factor
    uint32_t instrument
    uint8_t state               # TradingState
    uint8_t converted           # into the instrument's currency: its orders carry the rate
    uint8_t reserved[26]


cdef struct Feed:               # of one listing, as the router last read its board
    int64_t receive_ns          # monotonic, of its last frame
    int64_t maximum_age_ns
    uint8_t book_state


cdef struct OwnOrders:          # of one listing and side
    int64_t best                # price of the most aggressive that may rest; 0 = none
    uint32_t newest             # order slot; then Held.older


cdef struct ListingBooks:
    Stake stake
    Feed feed
    OwnOrders own[2]            # BUYS, SELLS
    int128 carried              # cash of a position that was carried, until a rate is known to convert it with
    int64_t fee                 # fraction of a fill's notional, in 1e-8
    uint32_t exchange


cdef struct Exposure:           # of one instrument, in its scale
    int128 net                  # position, all listings
    int128 open_buys            # may still be bought, in doubt included
    int128 open_sells
    int64_t maximum_position    # long or short, if everything open is filled
    int64_t reference_price     # fused mid; 0 = none yet
    int64_t reference_ns        # monotonic, when it was true
    int64_t reference_age_ns    # how old it may be
    int64_t collar              # largest distance from the reference on the aggressive side, fraction in 1e-8
    int64_t money_factor        # reference price * quantity * this = money of its currency
    int128 expected             # of what the exchange's books and ours differ in, and what it shows; amounts in 1e-18
    int128 found
    uint32_t currency
    uint32_t holders            # bit s: strategy s has a position or something open
    uint32_t awaited            # listings whose `carried` waits for a rate: there is no reference price before
    uint8_t differs             # Reason why it is halted until it is re-armed by hand; OK = it is not


cdef struct Drift:              # where the reference price of one instrument has been
    int64_t prices[REFERENCES]
    int64_t times_ns[REFERENCES]
    int64_t window_ns           # the collar is around what was true so long ago; 0 = not checked
    int64_t collar              # fraction in 1e-8
    uint32_t newest
    uint32_t then               # the newest that is as old as the window, or the oldest there is
    uint32_t count


cdef struct Commitment:         # of one parent, instrument scale
    uint64_t parent_id
    int64_t quantity
    int64_t committed           # filled, or may still be


cdef struct Held:               # what an order slot has added to the books, listing scale
    int128 notional             # of its fills
    uint64_t client_order_id
    uint64_t parent_id
    int64_t committed
    int64_t filled
    int64_t price
    int64_t quantity
    int64_t placed_ns
    int64_t rate                # ChildOrder.rate
    int64_t display             # what it shows of itself (iceberg.pxd); 0 = all
    uint32_t parent
    uint32_t listing
    uint32_t newer              # of the same listing and side, while it may still be filled
    uint32_t older
    uint32_t strategy
    uint8_t side
    uint8_t listed              # in that list
    uint8_t may_rest
    uint8_t rejected            # that was counted


cdef struct Throttle:           # trips when more than `most` events come within `window_ns`; most 0 = never
    int64_t *times_ns           # of the last `most`
    int64_t window_ns
    uint32_t most
    uint32_t next


cdef struct RecentParent:
    int64_t taken_ns
    int64_t quantity
    int64_t limit_price
    uint64_t listings
    uint32_t instrument
    uint8_t side                # 0 = none yet


cdef struct Strategy:
    TokenBucket messages
    Throttle fills
    Throttle rejects
    RecentParent recent[RECENT]
    int64_t repeat_ns           # the same parent or child again within this is refused; 0 = it is not
    uint32_t next_recent
    uint8_t state               # TradingState
    uint8_t reason              # Reason of a state that is not ACTIVE


cdef struct Money:              # of one currency: of an exchange, of a strategy, or of everything
    int128 used                 # sum of Stake.used
    int128 maximum_used
    int128 maximum_notional     # of one order
    int128 cash                 # brought by sells less paid for buys and fees
    int128 worth                # sum of Stake.worth
    int128 origin               # cash + worth when counting began
    int128 maximum_loss
    int128 maximum_drawdown
    int128 peak                 # largest profit that stood for a whole `stand_ns`
    int128 low                  # lowest profit since low_ns
    int64_t low_ns
    int64_t breached_ns         # since when fresh marks say that a limit is exceeded; 0 = they do not
    int64_t stand_ns            # so long they must say so before it trips
    int128 tripped_at           # the loss or drawdown with which it did
    uint8_t tripped             # Reason; until it is armed again by hand


cdef struct Refusal:            # the last of a parent's children
    int128 limit
    int128 actual
    int64_t now_ns
    uint64_t count
    uint32_t listing
    uint8_t code                # Reason; OK = none was refused


cdef struct Risk:
    ListingLimits *limits       # by listing
    ListingBooks *books         # by listing
    Exposure *exposures         # by instrument
    Drift *drifts               # by instrument
    const uint32_t *members     # listing indices, instrument after instrument
    const uint32_t *first       # by instrument: where its members begin; one more at the end
    Commitment *commitments     # by parent slot
    Refusal *refusals           # by parent slot
    Held *held                  # by order slot
    Strategy *strategies
    Stake *stakes               # by strategy, then instrument
    Money *money                # of everything, then by exchange, then by strategy; in each by currency
    TokenBucket messages
    uint32_t listing_count
    uint32_t instrument_count
    uint32_t exchange_count
    uint32_t strategy_count
    uint32_t currency_count
    uint32_t parent_capacity
    uint32_t order_capacity
    uint64_t approved
    uint64_t refused
    uint64_t strangers          # orders observed that were never approved
    uint64_t reducing           # bit e: on exchange e only what reduces the position there passes
    uint8_t state               # TradingState of everything


cdef struct Decision:           # the numbers that decided
    int128 limit
    int128 actual
    uint8_t code                # Reason


cdef nogil:
    inline bint refuse(Decision *decision, uint8_t code, int128 limit, int128 actual) noexcept:
        decision.code = code
        decision.limit = limit
        decision.actual = actual
        return False

    inline Money *total_money(const Risk *risk, uint32_t currency) noexcept:
        return &risk.money[currency]

    inline Money *exchange_money(const Risk *risk, uint32_t exchange, uint32_t currency) noexcept:
        return &risk.money[(1 + exchange) * risk.currency_count + currency]

    inline Money *strategy_money(const Risk *risk, uint32_t strategy, uint32_t currency) noexcept:
        return &risk.money[(1 + risk.exchange_count + strategy) * risk.currency_count + currency]

    inline Stake *stake_of(const Risk *risk, uint32_t strategy, uint32_t instrument) noexcept:
        return &risk.stakes[strategy * risk.instrument_count + instrument]

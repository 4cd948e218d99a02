"""What moves between the stages: every struct that crosses a file boundary, and the enums that name its fields.

Sizes are fixed and asserted in types.pyx; numpy dtypes are derived from these declarations there, never retyped.
Integers only. A price or quantity is scaled by its listing's (or instrument's) power of ten. Times end in `_ns` and
name their clock: `exchange_ns` theirs (unix), `receive_ns` ours (monotonic, stamped at the socket). `ring_stamp` is the
ring's own word (ring.hpp): nobody else writes it, and outside a ring it is zero.
"""
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cpdef enum Side:
    NO_SIDE = 0
    BUY = 1
    SELL = 2


cpdef enum BookState:
    EMPTY = 0
    SYNCING = 1
    LIVE = 2
    STALE = 3


cpdef enum BookFault:           # why a book is not LIVE
    NO_FAULT = 0
    GAP = 1                     # the exchange's own sequence shows a missing update
    CHECKSUM = 2
    CROSSED = 3                 # bid > ask at the end of a frame
    INEXACT = 4                 # a number finer than the listing's scale, or too large for it
    MALFORMED = 5               # the frame could not be decoded
    SILENT = 6                  # no application data within the budget
    DISCONNECTED = 7
    FULL = 8                    # more levels than the book has room for
    LAGGING = 9                 # frames arrived faster than they could be taken


cpdef enum MessageKind:         # what a codec found in a frame
    IGNORED = 0                 # understood and of no interest (heartbeat, kline, ...)
    SNAPSHOT = 1
    UPDATE = 2
    TRADE = 3
    QUOTE = 4                   # the exchange's own best bid and ask
    REPORT = 5                  # an execution report
    SESSION = 6                 # for the Python session: subscribed, login, error, ...
    REFRESH = 7                 # the whole book again, as every frame of such a channel carries it
    CHECK = 8                   # a checksum of the book as it stands, in a frame of its own
    ALIVE = 9                   # the exchange says that nothing changed in this listing's book
    MISSED = 10                 # frames of this connection are missing: of which listing, nobody can tell
    RATES = 11                  # what the exchange has counted of us, or that it was too much; `side`: RateNotice


cpdef enum RateNotice:          # of a RATES message
    WEIGHT_COUNTED = 1          # first_id: so much, in a period of previous_id nanoseconds; last_id: of how much
    ORDERS_COUNTED = 2          # the same
    POINTS_COUNTED = 3          # first_id: where the counter of `listing` stands
    ORDERS_REFUSED = 4          # until exchange_ns; 0 = it does not say
    EVERYTHING_REFUSED = 5      # the same, and not only orders


cpdef enum ChecksumRule:        # over which text of the book a checksum is taken; see checksum.pxd
    NO_CHECKSUM = 0
    KRAKEN_CHECKSUM = 1
    OKX_CHECKSUM = 2
    BITFINEX_CHECKSUM = 3


cpdef enum OrderType:
    LIMIT = 1
    MARKET = 2


cpdef enum TimeInForce:
    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4


cpdef enum OrderFlag:
    POST_ONLY = 1               # of those that rest
    MUST_COMPLETE = 0x80        # of a parent alone: what is left shortly before its end crosses


cpdef enum OrderStatus:
    CREATED = 0
    DENIED = 1
    PENDING_NEW = 2
    NEW = 3
    PARTIAL = 4
    PENDING_CANCEL = 5
    PENDING_REPLACE = 6
    IN_DOUBT = 7
    FILLED = 8
    CANCELED = 9
    REJECTED = 10
    EXPIRED = 11


cpdef enum ExecType:            # why an ExecutionReport was sent
    REPORT_SENT = 1             # the bytes went to the socket
    # The send gate refused; `reason` says why. Of RATE_LIMITED last_price is the limit, last_quantity what it would
    # have been, and exchange_ns, on our monotonic clock, when there may be room; of REPLACE_REJECTED too.
    REPORT_NOT_SENT = 2
    REPORT_NEW = 3
    REPORT_FILL = 4
    REPORT_CANCELED = 5
    REPORT_REJECTED = 6
    REPORT_EXPIRED = 7
    REPORT_CANCEL_REJECTED = 8
    REPORT_IN_DOUBT = 9         # silence, lost connection or unreadable answer after sending
    REPORT_STATUS = 10          # a statement of state without an event; numbers as of REPLACED, 0 = not told
    REPORT_ASKED = 11           # a question about the order is answered: OK = whole, UNKNOWN_OUTCOME = not
    REPORT_REPLACED = 12        # last_price and last_quantity: what its price and whole quantity are now
    REPORT_REPLACE_REJECTED = 13
    # The account holds `fee` of `fee_asset`, at `fee_decimals`: all that say so of one asset are added up. They never
    # leave their thread.
    REPORT_BALANCE = 14
    REPORT_DIFFERS = 15         # books there and ours; last_price: expected, last_quantity: found, at `fee_decimals`
    # What the account holds by our books: `fee` of `fee_asset`, at `fee_decimals`, and last_price in 1e-18 more;
    # last_quantity: fills since the exchange agreed, -1 = nothing is known; exchange_ns: when the newest fill in it was
    # made. `listing` is any of that exchange.
    REPORT_HELD = 16


cpdef enum Liquidity:
    UNKNOWN_LIQUIDITY = 0
    MAKER = 1
    TAKER = 2


cpdef enum ChildKind:
    NEW_ORDER = 1
    CANCEL_ORDER = 2
    ASK_ORDER = 3               # what became of it?
    FORGET_ORDER = 4            # it was never accepted
    ADOPT_ORDER = 5             # one of an earlier run may still be out
    REPLACE_ORDER = 6           # `price` and `quantity` are what it is to have, filled part included


cpdef enum ParentKind:
    SUBMIT_PARENT = 1
    CANCEL_PARENT = 2
    REPLACE_PARENT = 3          # `quantity` and `limit_price` are what it is to have; 0 = as it is
    HALT_STRATEGY = 4           # it asks to be killed: it does not know how to go on
    PAUSE_PARENT = 5            # nothing new for it, until RESUME_PARENT; its time goes on
    RESUME_PARENT = 6


cpdef enum ParentStatus:
    PARENT_WORKING = 1
    PARENT_CANCELLING = 2
    PARENT_DONE = 3
    PARENT_ENDED_IN_DOUBT = 4
    PARENT_DENIED = 5


cpdef enum Algorithm:
    IMMEDIATE = 1               # cross now, re-route the rest until end_ns or the limit price
    RESTING = 2                 # one order at the limit price on the one listing that is allowed, until it is filled
    TWAP = 3                    # in equal slices over its time (algos/schedule.pxd), each crossed as IMMEDIATE is
    SHORTFALL = 4               # the same, more at the beginning: `curvature`
    CLOSE = 5                   # the same, more at the end
    POV = 6                     # a part of what others trade (algos/participation.pxd): `participation`
    VWAP = 7                    # in slices as the volume is expected and seen (algos/volume_curve.pxd)
    ADAPTIVE_SHORTFALL = 8      # SHORTFALL, faster where the price is better than at arrival (algos/reaction.pxd)
    PRICE_INLINE = 9            # POV, of more where the price is better than at arrival
    MINIMAL_IMPACT = 10         # POV, where the spread is not wider than usual (algos/usual.pxd)
    LIQUIDITY_SEEKING = 11      # POV, where unusually much is displayed: so many times the usual: `curvature`
    SNIPER = 12                 # all of it at once where so much is displayed, or `minimum_slice`; else nothing
    SWEEP = 13                  # as IMMEDIATE, but once
    PRIMARY_PEG = 16            # pegs rest where the market is (pegging.pxd): with the best of their side
    MID_PEG = 17                # halfway between the best of both sides
    MARKET_PEG = 18             # with the best of the other side
    JOIN = 19                   # IMMEDIATE with TACTIC_JOIN


cpdef enum Tactic:              # how what is due of a parent is traded
    TACTIC_TAKE = 0             # crossed at once
    TACTIC_JOIN = 1             # placed at market and in queues, until these are not worth waiting in (posting.pxd)


cpdef enum RoutePolicy:
    BEST = 0                    # split over all listings
    SINGLE = 1                  # the one listing that takes the whole at the least cost, chosen at arrival


cpdef enum Amends:              # what an exchange can change of an order in place
    AMENDS_NOTHING = 0
    AMENDS_QUANTITY_DOWN = 1
    AMENDS_PRICE_AND_QUANTITY = 2


cpdef enum TradingState:
    HALTED = 0                  # the boot state; cancels pass
    REDUCING = 1
    ACTIVE = 2


cpdef enum Conversion:          # how a listing's prices become its instrument's (conversion.pxd)
    NOT_CONVERTED = 0
    DIRECT = 1                  # the rate's book has the listing's quote currency as its base
    INVERSE = 2                 # it has the instrument's


cpdef enum Reason:              # coded reasons: of risk, of the send gate, of a parent's end, of a reject
    OK = 0
    QUANTITY_NOT_POSITIVE = 1
    QUANTITY_OFF_LOT = 2
    QUANTITY_BELOW_MINIMUM = 3
    QUANTITY_EXCEEDS_MAXIMUM = 4
    NOTIONAL_BELOW_MINIMUM = 5
    NOTIONAL_EXCEEDS_MAXIMUM = 6
    PRICE_OFF_TICK = 7
    PRICE_NOT_POSITIVE = 8
    PRICE_OUTSIDE_COLLAR = 9
    NO_REFERENCE_PRICE = 10
    EXCEEDS_PARENT = 11         # conservation: filled + working + in doubt would exceed the parent
    POSITION_EXCEEDS_MAXIMUM = 12
    TRADING_HALTED = 13
    TRADING_REDUCING = 14
    TABLE_FULL = 15
    JOURNAL_FAILED = 16
    BOOK_NOT_LIVE = 17
    EPOCH_CHANGED = 18
    RATE_LIMITED = 19
    DEADLINE_PASSED = 20
    NOT_CONNECTED = 21
    ENCODE_FAILED = 22
    UNKNOWN_LISTING = 23
    LISTING_HALTED = 24
    INSUFFICIENT_FUNDS = 25
    POST_ONLY_WOULD_TAKE = 26
    UNKNOWN_ORDER = 27
    DUPLICATE_ORDER = 28
    CLOCK_SKEW = 29
    PERMISSION = 30
    EXCHANGE_RULE = 31          # the exchange's own filter refused
    EXCHANGE_OTHER = 32
    END_TIME = 33               # the parent's time ran out
    NO_LIQUIDITY = 34           # nothing tradable within the limit
    BELOW_MINIMUM_REMAINS = 35  # what remains is below every listing's minimum
    CANCELLED_BY_USER = 36
    LAGGED = 37                 # the strategy does not read its reports
    UNKNOWN_OUTCOME = 38        # after sending: the exchange answered that it does not know
    SELF_TRADE = 39
    CAPITAL_EXCEEDED = 40
    PRICE_DRIFTED = 41          # beyond the collar around the reference price of a minute ago
    MESSAGE_RATE_EXCEEDED = 42  # of everything together
    STRATEGY_RATE_EXCEEDED = 43
    REPEATED_ORDER = 44         # the same parent a moment ago, or the same child still out
    STRATEGY_HALTED = 45        # by hand
    STRATEGY_REDUCING = 46
    FILLS_TOO_FREQUENT = 47     # the strategy is halted until it is re-armed by hand
    REJECTS_TOO_FREQUENT = 48
    FEED_TOO_OLD = 49
    LOSS_EXCEEDS_MAXIMUM = 50   # of everything together; only what reduces passes
    DRAWDOWN_EXCEEDS_MAXIMUM = 51
    STRATEGY_LOSS_EXCEEDED = 52
    STRATEGY_DRAWDOWN_EXCEEDED = 53
    EXCHANGE_CAPITAL_EXCEEDED = 54  # CAPITAL_EXCEEDED is that of everything together
    STRATEGY_CAPITAL_EXCEEDED = 55
    UNKNOWN_STRATEGY = 56
    STRATEGY_NOTIONAL_EXCEEDED = 57
    IDS_USED_UP = 58            # this run has given all its client order ids: it takes a restart
    EXCHANGE_REDUCING = 59      # only what reduces the position there passes
    NOT_RECONCILED = 61         # nobody has compared our books with the exchange's since it was connected
    BALANCE_UNEXPLAINED = 62    # of an asset of the instrument, by fills; until it is re-armed by hand
    ORDER_UNEXPLAINED = 63      # the exchange has an order of ours open that had ended here
    NEVER_ACCEPTED = 64         # asked for, and nowhere to be found long after it was sent
    RESTARTED = 65              # its run ended while it worked
    NO_SCHEDULE = 66            # a parent that follows the clock has no slices, no end, or one before its beginning
    NETTED = 67                 # with the rest of the other side that is kept (residuals.pxd), nothing is left to trade


cpdef enum CommandKind:         # control (Python) -> a native thread
    CONNECTION_OPENED = 1       # `connection` of `role` is open; value: address of its Transport, 0 = fed by a ring
    CONNECTION_ENDED = 2        # a connection fed by a ring is gone
    SEND_FRAME = 3              # payload: the text of one websocket frame
    SNAPSHOT_BODY = 4           # payload: REST depth snapshot of `listing`; value: its most levels a side, 0 = all
    CLOSE_CONNECTION = 5
    SET_TRADING_STATE = 6       # value: TradingState
    SNAPSHOT_FAILED = 7         # the REST call for `listing` failed; asked again later
    TRADING_READY = 9           # the order connection is logged in
    KEEP_ALIVE = 8              # payload: text to send when nothing was sent for `value` nanoseconds
    ORDER_BODY = 10             # payload: REST body on an order; value: client order id, argument: BodyKind
    ORDER_ASKED = 11            # these were all; argument: whether every call was answered
    SET_CLOCK = 12              # value: what the exchange's unix clock shows less what our monotonic clock shows
    ROUND_BEGIN = 13            # of reconciliation; value: its number
    ACCOUNT_BODY = 14           # payload: REST body on the account; value: the round's number, argument: BodyKind
    ROUND_END = 15              # these were all; value: the round's number, argument: whether every call was answered
    ACCEPT_ACCOUNT = 16         # by hand: what the exchange has of `listing`'s instrument is right


cpdef enum BodyKind:            # what a REST body about orders, or about the account, is
    ORDER_STATE = 1             # the one that was asked for
    ORDER_LIST = 2              # orders, among which it may be
    ORDER_TRADES = 3            # trades of that order alone
    ACCOUNT_ORDERS = 4          # open orders of the account, whoever's
    ACCOUNT_BALANCES = 5        # what it holds
    ACCOUNT_TRADES = 6          # its trades, whoever's


cpdef enum Role:                # what a connection is for
    MARKET_DATA = 0
    ORDERS = 1                  # order entry and private stream


cpdef enum InputKind:           # what an InputRecord tells of
    INPUT_WAKE = 1
    INPUT_REPORT = 2
    INPUT_PARENT = 3
    INPUT_COMMAND = 4
    INPUT_TIMER = 5
    BOARD_READ = 6              # while the input of the same sequence was served


cdef struct Level:              # 16 bytes
    int64_t price
    int64_t quantity            # absolute; 0 deletes


cpdef enum EventKind:           # exchange thread -> control (Python)
    SESSION_FRAME = 1           # payload: a frame for the session
    SNAPSHOT_NEEDED = 2
    BOOK_CHANGED = 3            # LIVE or STALE was entered; `value`: BookState, `detail`: BookFault
    CONNECTION_LOST = 4         # `value`: LossReason, `detail`: its number; the transport is released by RELEASED
    TRANSPORT_RELEASED = 5      # Python may close the socket now
    FRAME_REFUSED = 6           # `value`: DecodeStatus, `detail`: offset; payload: the beginning of the frame
    REPORTS_FULL = 7
    LINE_CHANGED = 8            # the same of a line's book that is not the one shown; `connection` says which
    ORDER_QUESTION = 9          # what became of an order? `value`: client order id, `detail`: unix ns of its decision
    ROUND_BEGUN = 10            # of reconciliation; `value`: its number: what is asked from now on may be compared
    ROUND_DONE = 11             # `value`: its number, `detail`: Verdict
    ACCOUNT_DIFFERS = 12        # payload: an ExecutionReport, as the router gets it


cpdef enum Verdict:             # of a round of reconciliation
    INCOMPLETE = 0              # nothing is concluded from it
    EQUAL = 1                   # but for what was found to differ before, and told
    DIFFERS = 2                 # to be looked at again, before anything is concluded


cpdef enum LossReason:
    PEER_CLOSED = 1             # detail: websocket close code, 0 = the TCP connection just ended
    TRANSPORT_FAILED = 2        # detail: errno
    PROTOCOL_BROKEN = 3         # detail: websocket.FrameFault
    FRAME_UNREADABLE = 4        # detail: DecodeStatus; the next frames cannot be trusted either
    ASKED_TO_CLOSE = 5
    OUTPUT_FULL = 6             # the peer does not read
    NOTHING_HEARD = 7           # not even an answer to our ping; detail: nanoseconds


cdef struct Event:              # 64 bytes, payload behind it in the byte ring
    int64_t now_ns              # monotonic
    int64_t value
    int64_t detail
    uint32_t listing
    uint32_t epoch
    uint16_t exchange
    uint8_t kind
    uint8_t connection
    uint8_t reserved[28]


cdef struct Listing:            # one instrument on one exchange; fixed for a run
    int64_t tick                # smallest price step for our own orders, scaled
    int64_t lot
    int64_t minimum_quantity
    int64_t maximum_quantity
    int64_t minimum_notional    # in 1e-8 of the quote currency
    int64_t maker_fee           # fraction of notional, in 1e-8 (10 bps = 100000); negative = rebate
    int64_t taker_fee
    int64_t price_factor        # listing price * price_factor = instrument price, exact; if it is not converted
    int64_t quantity_factor
    uint32_t index
    uint32_t instrument
    uint16_t exchange
    uint8_t price_decimals      # value = integer / 10**decimals
    uint8_t quantity_decimals
    uint16_t depth              # subscribed depth; 0 = unlimited
    uint8_t halted
    uint8_t conversion          # Conversion
    uint32_t rate_instrument    # whose book gives the rate, if it is converted
    uint16_t most_parts         # of an iceberg that the exchange refills (iceberg.pxd); 0 = it takes none
    uint8_t reserved[2]


cdef struct Message:            # one event that a codec found in a frame; levels lie in the decode buffer
    int64_t first_id            # U
    int64_t last_id             # u; of a snapshot: lastUpdateId; of a trade: trade id
    int64_t previous_id         # pu
    int64_t exchange_ns         # unix, 0 = not given
    int64_t price               # TRADE
    int64_t quantity            # TRADE
    uint32_t bids_begin         # index into DecodeBuffer.levels
    uint32_t bids_count
    uint32_t asks_begin
    uint32_t asks_count
    uint32_t checksum
    int32_t listing             # -1: not one of ours
    uint32_t report             # REPORT: index into DecodeBuffer.reports
    uint8_t kind                # MessageKind
    uint8_t side                # TRADE: aggressor
    uint8_t checksum_rule       # ChecksumRule that `checksum` follows
    uint8_t has_chain           # first_id/last_id (and previous_id where the protocol has it) are set
    int8_t price_zeros          # checksum exchanges: decimals on the wire less those of the listing's scale
    int8_t quantity_zeros
    uint8_t reserved[6]


cdef struct Wake:               # 64 bytes: the board of `listing` changed
    uint64_t version
    int64_t receive_ns
    int64_t exchange_ns
    uint32_t listing
    uint32_t epoch
    uint8_t book_state
    uint8_t reserved[23]
    uint64_t ring_stamp


cdef struct Command:            # 64 bytes, payload behind it in the byte ring
    int64_t value
    int64_t argument
    uint32_t listing
    uint32_t epoch
    uint16_t exchange
    uint8_t kind                # CommandKind
    uint8_t connection
    uint8_t role
    uint8_t line                # CONNECTION_OPENED: 0 = A, 1 = B
    uint8_t reserved[34]


cdef struct ChildOrder:         # 128 bytes: router -> exchange
    uint64_t client_order_id    # see client_id.pxd; the codec spells it
    uint64_t parent_id
    uint64_t sequence           # router input that caused it
    uint64_t journal_sequence   # its intent, already written
    uint64_t board_version      # the book it was decided on
    int64_t price               # listing scale
    int64_t quantity
    int64_t deadline_ns         # monotonic; the send gate refuses after it; 0 = none
    int64_t decided_ns          # monotonic
    int64_t cause_receive_ns    # stamp of the frame that caused it, 0 = none
    int64_t terms               # GTD: unix ns, when the exchange ends it. GTC: what it shows of itself (iceberg.pxd)
    uint32_t listing
    uint32_t book_epoch
    uint32_t slot               # router's order table
    uint16_t account
    uint16_t strategy
    uint8_t kind                # ChildKind
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t flags
    uint8_t risk_code
    uint16_t slice              # of its parent's time, from 1; 0 = it is not paced
    int64_t rate                # with which its price was converted (conversion.pxd); 0 = it was not
    uint64_t ring_stamp


cdef struct ExecutionReport:    # 128 bytes: exchange -> router
    uint64_t client_order_id    # 0 = foreign
    uint64_t trade_id
    int64_t last_price
    int64_t last_quantity
    int64_t cumulative_quantity     # -1 = not stated
    int64_t fee                 # positive = cost; value = fee / 10**fee_decimals of fee_asset
    int64_t exchange_ns
    int64_t receive_ns          # monotonic
    uint32_t listing
    uint32_t sequence
    uint32_t slot
    uint16_t fee_asset          # index in the exchange's asset table
    uint8_t fee_decimals
    uint8_t exec_type
    uint8_t reason
    uint8_t liquidity
    uint8_t side
    uint8_t reconciliation
    char exchange_order_id[32]
    uint8_t reserved[4]
    uint64_t ring_stamp


cdef struct ParentOrder:        # 128 bytes: strategizer -> router
    uint64_t parent_id          # strategy << 48 | counter
    uint64_t listings           # bit i = i-th listing of the instrument allowed; 0 = all
    int64_t quantity            # instrument scale
    int64_t limit_price         # instrument scale; 0 = none (collar applies)
    int64_t start_ns            # monotonic
    int64_t end_ns              # monotonic; 0 = until done
    int64_t created_ns          # monotonic
    int64_t cause_receive_ns
    uint32_t instrument
    uint16_t strategy
    uint16_t account
    uint8_t kind                # ParentKind
    uint8_t side
    uint8_t algorithm
    # IMMEDIATE: 1 to 100, how little it waits for better (algos/patience.pxd); 0 = at once. Where it joins: 0 to 100,
    # the per cent of a chance for which it waits (algos/queue.pxd).
    uint8_t urgency
    uint8_t flags               # OrderFlag, of its children
    uint8_t randomness          # of a schedule: percent of a slice's length and size, MOST_RANDOMNESS at most
    uint16_t slices             # of a schedule, at most
    double curvature            # of a schedule: kappa * (end - begin), 0 and more; LIQUIDITY_SEEKING
    int64_t minimum_slice       # instrument scale; 0 = what the exchanges take. SNIPER: 0 = all that remains
    int64_t start_unix_ns       # VWAP: what the unix clock shows at `start_ns`
    # RESTING, pegs: its order shows no more, instrument scale; 0 = it may show all. ADAPTIVE_SHORTFALL, PRICE_INLINE:
    # the price move in favour, in 1e-6 of the arrival price, that doubles its pace; negative = that halves it.
    int64_t display
    uint32_t participation      # of all that is traded, ours included, in 1e-6; of a schedule: at most, 0 = any
    int16_t offset              # of a peg: ticks of its listing, added to what it follows
    uint8_t with_residual       # it takes what is kept of its strategy and instrument (residuals.pxd)
    uint8_t tactic              # Tactic, of one that is paced
    uint64_t ring_stamp


cdef struct ParentReport:       # 128 bytes: router -> strategizer
    uint64_t parent_id
    uint64_t sequence
    int64_t quantity            # instrument scale, all below too
    int64_t filled
    int64_t working
    int64_t in_doubt
    int64_t last_price          # of the fill that caused it, 0 = none
    int64_t last_quantity
    int64_t notional_low        # 128-bit sum of price * quantity, instrument scales multiplied
    int64_t notional_high
    int64_t arrival_price       # mid at arrival, instrument scale
    int64_t event_ns
    uint32_t instrument
    uint32_t listing            # of the fill
    uint16_t strategy
    uint8_t status              # ParentStatus
    uint8_t reason
    uint8_t side
    uint8_t reserved[3]
    int64_t taken               # part of `quantity` that was kept below the minimums; negative = netted off
    uint64_t ring_stamp


cpdef enum ResidualKind:
    RESIDUAL_KEPT = 1           # a parent ended with a rest that no exchange takes
    RESIDUAL_TAKEN = 2          # a parent took it into its quantity
    RESIDUAL_FILLED = 3         # some of such a rest was filled after all: a report that came late


cdef struct ResidualChange:     # 64 bytes: what is kept of a strategy in an instrument is another quantity
    uint64_t parent_id          # because of it
    int64_t change              # instrument scale, positive = to buy
    int64_t quantity            # kept after it
    uint64_t parents            # whose rests are in it
    uint32_t instrument
    uint16_t strategy
    uint8_t kind                # ResidualKind
    uint8_t reserved[25]


cdef struct Signals:            # of one listing, valid bits name what may be read
    double mid
    double microprice           # imbalance-weighted mid
    double spread
    double imbalance            # (qb - qa) / (qb + qa), -1 .. 1
    double trade_flow           # signed traded quantity, exponentially decayed
    double volatility           # EWMA, per square root of a second, as a fraction of the mid
    uint64_t valid              # bit i = i-th field above


cdef enum:
    BOARD_DEPTH = 20


cdef struct BoardEntry:         # what is known of one listing right now
    uint32_t listing
    uint32_t epoch              # of the market data connection
    uint64_t version            # frames applied to this listing in this epoch
    int64_t receive_ns          # monotonic, of the frame that gave this version
    int64_t exchange_ns         # unix, 0 = not given
    uint8_t book_state          # BookState
    uint8_t fault               # BookFault
    uint8_t bid_count           # levels in use, at most BOARD_DEPTH; what lies beyond means nothing
    uint8_t ask_count
    uint32_t publication        # how often this entry was written in this run: names a state exactly
    uint64_t traded             # sum of the trades that were seen in this run, modulo 2**64; whole at a publication
    uint64_t sold               # of that, what sellers took of the bids
    int64_t bids_known_to       # everything at this price and better is known; 0 = the whole side (known_depth.pxd)
    int64_t asks_known_to
    Signals signals
    Level bids[BOARD_DEPTH]     # best first
    Level asks[BOARD_DEPTH]     # best first


cpdef enum RecordedKind:        # what an exchange thread records of its market data, so that a run can be replayed
    RECORDED_FRAME = 1          # payload: a frame of the market data connection
    RECORDED_OPENED = 2         # the connection was opened; `value`: its line, and 2 more if it carries no books
    RECORDED_LOST = 3           # it was lost; `value`: LossReason
    RECORDED_SNAPSHOT = 4       # payload: REST depth snapshot of `listing`; `value`: its most levels a side, 0 = all
    RECORDED_SILENCE = 5        # nothing was heard about `listing` for too long; `value`: on which line


cdef struct Recorded:           # 32 bytes, payload behind it
    int64_t now_ns              # monotonic: the time that the frame was given
    int64_t value
    uint32_t epoch
    uint32_t listing
    uint8_t kind                # RecordedKind
    uint8_t connection
    uint8_t reserved[6]


cpdef enum TapeKind:
    TAPE_SNAPSHOT = 1
    TAPE_UPDATE = 2
    TAPE_TRADE = 3
    TAPE_STATE = 4              # the book became STALE, or its connection opened
    TAPE_CHECK = 5              # a checksum that came by itself was right


cdef struct TapeRecord:         # 128 bytes: one normalised event, for whoever records or checks
    uint64_t version            # of the book, after it
    int64_t id                  # update id or trade id
    int64_t receive_ns          # monotonic
    int64_t exchange_ns
    int64_t bid_price           # best bid and ask after it; quantity 0 = that side is empty
    int64_t bid_quantity
    int64_t ask_price
    int64_t ask_quantity
    int64_t price               # TAPE_TRADE
    int64_t quantity
    uint32_t listing
    uint32_t epoch
    uint32_t levels             # level entries in the update
    uint8_t kind                # TapeKind
    uint8_t side                # TAPE_TRADE: aggressor
    uint8_t state               # BookState
    uint8_t fault               # BookFault
    uint8_t has_checksum        # and it was right
    uint8_t reserved[23]
    uint64_t ring_stamp


cdef struct InputRecord:        # 32 bytes: one input taken, or one board read, by one loop
    uint64_t sequence           # of the loop's inputs, from 1
    int64_t event_ns            # monotonic; the `now` of that input
    uint64_t number             # the source's own sequence; of a board read: epoch << 40 | version
    uint32_t check              # CRC32C of the rest
    uint16_t source             # which inbox; of a board read: listing
    uint8_t kind                # InputKind
    uint8_t reserved


cpdef enum FaultCode:
    NO_FAULT_FOUND = 0
    PARENT_EXCEEDED = 1         # an order would have made more of a parent than it asks for: the router is wrong
    PARENT_OVERFILLED = 2
    ORDER_OVERFILLED = 3        # by the exchange
    FILL_NOT_REMEMBERED = 4     # the table has no room: the same fill would count twice
    FILL_NOT_PLACED = 5         # of an order of ours that has left the table: no position has it
    JOURNAL_LOST = 6            # a flush has failed, so nobody knows what is on the disk


cdef struct Fault:              # a broken invariant of the router: everything is killed
    uint64_t sequence           # of the input that was served
    uint64_t subject            # parent id of the first two, client order id of the others; 0 = none
    int64_t event_ns            # monotonic
    uint32_t code               # FaultCode

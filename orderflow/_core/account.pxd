"""What the fills of an account have made of its balances, and which of its fills and orders have been seen.

Every fill that is told counts once, whoever's it is and whichever way it comes (private stream, answer to a question,
answer of a round): what an asset has changed by since the run began is its `tally`, exact, in 1e-18. What the exchange
says that it holds is compared with that (reconciliation.pxd). What it should hold is written down after rounds
(REPORT_HELD), with that the next run begins: it knows what it was when nobody listened, and which fills are in it.

A fill is known by its trade id and the exchange's id of its order. So many are remembered that one which is found by
asking was told by the stream long before it is forgotten; an older one that is told again by an answer is taken for
known. Orders that have ended are remembered by the exchange's id as well, for trades that name nothing else.

Everything is of a fixed size. Exchange thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from orderflow._core cimport index_map, wide
from orderflow._core.codec cimport NO_ASSET, symbol_hash
from orderflow._core.fixed cimport int128
from orderflow._core.gate cimport SentOrder
from orderflow._core.index_map cimport IndexMap
from orderflow._core.purses cimport AMOUNT_DECIMALS, at_scale
from orderflow._core.types cimport ExecType, ExecutionReport, Listing, Side

cdef enum:
    SEEN_FILLS = 16384          # a power of two
    MOST_CHANGES = 4096         # of balances within one round
    MOST_CANDIDATES = 16
    ENDED_ORDERS = 1024         # a power of two
    MOST_STRANGE = 16


cdef enum RoundState:
    NO_ROUND = 0
    ASKING = 1                  # answers are on their way
    SETTLING = 2                # they are here; the private stream may still bring what explains them


cdef struct AssetBook:          # amounts in 1e-18
    int128 tally                # changed by fills since the run began
    int128 offset               # what the exchange shows less the tally
    int128 told                 # by the answer of this round
    int128 candidates[MOST_CANDIDATES]  # offsets that rounds which did not agree allow, or the first ones
    uint64_t fills              # since the offset was confirmed: each may have been rounded
    uint32_t candidate_count
    uint8_t is_known            # the offset
    uint8_t told_decimals
    uint8_t settled             # in this round
    uint8_t misses              # rounds in a row that did not agree
    uint8_t differs             # that was told, and stands until somebody accepts it


cdef struct AccountChange:
    int128 amount
    int64_t exchange_ns         # when it happened there
    uint16_t asset


cdef struct SeenFill:
    uint64_t trade_id
    uint64_t order              # order_key
    int64_t exchange_ns
    uint32_t listing
    uint32_t further            # 1 + the asset of a further fee of that trade; 0 = the fill itself


cdef struct EndedOrder:
    uint64_t client_order_id    # 0 = none yet
    char exchange_order_id[32]
    int64_t ended_ns            # monotonic
    uint32_t listing
    uint32_t slot
    uint8_t side


cdef struct StrangeOrder:       # ours, open there, and not here
    uint64_t client_order_id    # 0 = free
    uint64_t round              # in which it was listed last
    uint32_t listing
    uint8_t misses
    uint8_t differs             # that was told


cdef struct AccountRound:
    uint64_t number
    int64_t begun_ns            # monotonic
    int64_t ended_ns            # when the last answer was here
    uint32_t change_count
    uint32_t learning           # balances of which it is not known yet what they began from
    uint8_t state               # RoundState
    uint8_t overflowed          # more changes than are kept: nothing can be said of balances
    uint8_t unread              # an answer could not be read


cdef struct Account:
    const Listing *listings
    const uint16_t *bases       # by listing: index of the asset; NO_ASSET = not of this exchange
    const uint16_t *quotes
    AssetBook *assets
    AccountChange *changes      # told in this round, as they happened at the exchange
    SeenFill *seen
    IndexMap by_fill
    EndedOrder *ended
    StrangeOrder strange[MOST_STRANGE]
    AccountRound round
    uint64_t instance           # of our client order ids, whatever the run
    uint64_t seen_count         # that were ever seen
    uint64_t held_count         # of those, that are in the last HELD reports
    int64_t newest_ns           # exchange time of the newest of them
    int64_t held_ns             # the same of those in the last HELD reports
    int64_t held_wall_ns        # when those were written down; only a recovery knows
    uint64_t ended_count
    int64_t forgotten_ns        # exchange time of the newest fill that is not remembered any more
    uint64_t rounds             # that were equal
    uint64_t found              # fills of ours that a round told first
    uint64_t doubted            # orders that a round did not find
    uint64_t unread_fills       # of listings that this run does not have
    uint32_t foreign_orders     # open, by the last round
    uint32_t foreign_listed     # so far in this one
    uint32_t asset_count
    uint32_t listing_count
    uint8_t accepts             # a balance that fills do not explain is told and taken for right
    uint8_t is_news             # what it holds by our books is not what was written down last


cdef nogil:
    # --- amounts -------------------------------------------------------------------------------------------------

    inline void set_held(ExecutionReport *report, int128 amount) noexcept:
        """What is held of an asset, in 1e-18, exact: with the most decimals that go into 64 bits, and the rest."""
        cdef int128 most = 0x7FFFFFFFFFFFFFFF
        cdef int128 weight = 1
        cdef int places = AMOUNT_DECIMALS
        cdef int128 cut = amount
        while cut > most or cut < -most:
            cut = cut / 10
            weight = weight * 10
            places -= 1
        amount = amount - cut * weight
        report.fee, report.fee_decimals, report.last_price = <int64_t>cut, <uint8_t>places, <int64_t>amount

    inline int128 held(const ExecutionReport *report) noexcept:
        """What was set there, in 1e-18."""
        return at_scale(report.fee, report.fee_decimals) + <int128>report.last_price

    inline void change(Account *self, uint16_t asset, int128 amount, int64_t exchange_ns) noexcept:
        """A balance is another by so much. What a round compares with is the tally after each fill as they happened; a
        fill that the stream lost is told by an answer, after others that came later."""
        cdef AssetBook *book
        cdef uint32_t at
        if asset >= self.asset_count:
            return
        book = &self.assets[asset]
        book.tally = book.tally + amount
        book.fills += 1
        self.is_news = 1
        if self.round.state == RoundState.NO_ROUND:
            return
        if self.round.change_count == MOST_CHANGES:
            self.round.overflowed = 1
            return
        at = self.round.change_count
        while at > 0 and self.changes[at - 1].exchange_ns > exchange_ns:
            self.changes[at] = self.changes[at - 1]
            at -= 1
        self.changes[at].amount = amount
        self.changes[at].exchange_ns = exchange_ns
        self.changes[at].asset = asset
        self.round.change_count += 1

    # --- fills ---------------------------------------------------------------------------------------------------

    inline uint32_t further_fee(const ExecutionReport *report) noexcept:
        """1 + the asset of a fee that is told beside its trade; 0: this is the trade."""
        return 0 if report.exec_type == ExecType.REPORT_FILL else <uint32_t>report.fee_asset + 1

    inline uint64_t order_mark(uint32_t listing, uint32_t further) noexcept:
        """What tells orders of two listings with one id apart, in the numbers of this run."""
        return <uint64_t>listing << 40 ^ further

    inline uint64_t order_key(const ExecutionReport *report) noexcept:
        return (symbol_hash(report.exchange_order_id, sizeof(report.exchange_order_id))
                ^ order_mark(report.listing, further_fee(report)))

    inline uint64_t trade_key(const ExecutionReport *report) noexcept:
        return report.trade_id if report.trade_id else <uint64_t>1 << 63    # the map takes no zero

    inline bint is_seen(const Account *self, const ExecutionReport *report) noexcept:
        """Whether a fill was told before; or is so old that nobody knows, and it comes because we asked."""
        if index_map.find(&self.by_fill, trade_key(report), order_key(report)) != <uint32_t>index_map.NOT_FOUND:
            return True
        return report.reconciliation != 0 and report.exchange_ns != 0 and report.exchange_ns <= self.forgotten_ns

    inline void remember(Account *self, const SeenFill *seen) noexcept:
        cdef uint32_t at = <uint32_t>(self.seen_count & (SEEN_FILLS - 1))
        cdef SeenFill *fill = &self.seen[at]
        if self.seen_count >= SEEN_FILLS:
            index_map.remove(&self.by_fill, fill.trade_id, fill.order)
            if fill.exchange_ns > self.forgotten_ns:
                self.forgotten_ns = fill.exchange_ns
        fill[0] = seen[0]
        if fill.exchange_ns > self.newest_ns:
            self.newest_ns = fill.exchange_ns
        index_map.insert(&self.by_fill, fill.trade_id, fill.order, at)
        self.seen_count += 1

    inline void remember_fill(Account *self, const ExecutionReport *report) noexcept:
        cdef SeenFill fill
        fill.trade_id, fill.order = trade_key(report), order_key(report)
        fill.exchange_ns = report.exchange_ns
        fill.listing, fill.further = report.listing, further_fee(report)
        remember(self, &fill)

    inline bint counts(const ExecutionReport *report) noexcept:
        """Whether a report is of a fill, or of a further fee of one."""
        return (report.exec_type == ExecType.REPORT_FILL
                or (report.exec_type == ExecType.REPORT_STATUS and report.fee != 0 and report.trade_id != 0))

    inline bint take_fill(Account *self, const ExecutionReport *report) noexcept:
        """A fill, or a further fee of one: what it makes of the balances. False if it was told before."""
        cdef const Listing *listing
        cdef int128 quantity = 0
        cdef int128 notional = 0
        cdef int128 fee = 0
        cdef uint16_t base, quote
        if is_seen(self, report):
            return False
        remember_fill(self, report)
        if report.listing >= self.listing_count or self.bases[report.listing] == NO_ASSET:
            self.unread_fills += 1
            return True
        listing = &self.listings[report.listing]
        base, quote = self.bases[report.listing], self.quotes[report.listing]
        if report.exec_type == ExecType.REPORT_FILL:
            quantity = at_scale(report.last_quantity, listing.quantity_decimals)
            notional = wide.product(report.last_price, report.last_quantity)
            notional = at_scale(notional, listing.price_decimals + listing.quantity_decimals)
            if report.side == Side.SELL:
                quantity = -quantity
            else:
                notional = -notional
        if report.fee:
            fee = at_scale(report.fee, report.fee_decimals)
        if report.fee_asset == base:        # one change of one balance, as it is there
            quantity = quantity - fee
        elif report.fee_asset == quote:
            notional = notional - fee
        elif report.fee:
            fee = -fee
            change(self, report.fee_asset, fee, report.exchange_ns)
        if quantity != 0:
            change(self, base, quantity, report.exchange_ns)
        if notional != 0:
            change(self, quote, notional, report.exchange_ns)
        return True

    # --- orders --------------------------------------------------------------------------------------------------

    inline void remember_ended(Account *self, const SentOrder *order, int64_t now_ns) noexcept:
        """An order has left the table of what was sent."""
        cdef EndedOrder *ended = &self.ended[self.ended_count & (ENDED_ORDERS - 1)]
        ended.client_order_id = order.client_order_id
        memcpy(ended.exchange_order_id, order.exchange_order_id, sizeof(ended.exchange_order_id))
        ended.ended_ns = now_ns
        ended.listing, ended.slot, ended.side = order.listing, order.slot, order.side
        self.ended_count += 1

    inline const EndedOrder *find_ended(const Account *self, const char *exchange_order_id) noexcept:
        """By the exchange's id; NULL."""
        cdef uint32_t i
        for i in range(<uint32_t>ENDED_ORDERS):
            if (self.ended[i].client_order_id
                    and memcmp(self.ended[i].exchange_order_id, exchange_order_id, 32) == 0):
                return &self.ended[i]
        return NULL

    inline bint has_ended_since(const Account *self, uint64_t client_order_id, int64_t since_ns) noexcept:
        cdef uint32_t i
        for i in range(<uint32_t>ENDED_ORDERS):
            if self.ended[i].client_order_id == client_order_id and self.ended[i].ended_ns >= since_ns:
                return True
        return False

"""The exchange's balances and open orders against ours: what agrees, what is to be looked at again, what differs.

**Balances.** The exchange answers with what an asset was at some moment between our question and its answer; the
private stream tells of fills a little before or after that. So an answer agrees when it fits the tally as it was at any
moment since the round began: then, after each fill as they happened there, or now. What it is compared with is the
`offset`, what the exchange shows less the tally, which is constant as long as fills explain everything. In the first
round it is not known. If there was one fill while we asked there are two values that it may have; what the next round
says as well is it.

    offset known:      told - offset  among the values of the tally in this round?   yes: it agrees
    offset not known:  told - each of those values, kept where the round before said the same; one left: it is known

One answer that does not agree says nothing: a fill may be on its way. Neither do two answers that would need different
offsets. A difference is concluded when CONFIRMATIONS rounds in a row did not agree, and one offset explains them all.

Amounts are exact, but exchanges round what a fill is worth, and show so many decimals: so one unit of the last decimal
for each fill since it last agreed is not a difference, and one more for what is shown. What agreed is the new offset.

**Orders.** One of ours that is open there and had ended here before we asked differs, confirmed in the same way. That
one of ours is not open there is for the evidence to explain (rounds.pxd).

**Over a restart.** What each asset should hold (`expected`) is told after a round in which anything has changed, as
REPORT_HELD, in order with the fills: its journal says what the account held at the end, by our books, and the next run
begins with that as a known offset. So what was paid in or out, or filled, while no engine ran is found like any other
difference, and one that stood stands again.

Exchange thread only; recovery, which makes the books of a run that is over.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport account
from orderflow._core.account cimport MOST_CANDIDATES, MOST_STRANGE, Account, AssetBook, RoundState, StrangeOrder
from orderflow._core.fixed cimport int128
from orderflow._core.purses cimport AMOUNT_DECIMALS, at_scale
from orderflow._core.types cimport ExecutionReport

cdef enum:
    CONFIRMATIONS = 3           # rounds in a row
    USUAL_DECIMALS = 8          # of a balance that the answer does not name, which is then zero
    UNTOLD = 255                # instead of decimals: no amount yet in this round
    COARSE_NS = 999_999         # two answers of an exchange may name the time of one fill so differently


cdef struct Walk:               # over the values that the tally of one asset had in this round
    int128 value
    uint32_t next               # change to look at
    uint32_t after              # of its own changes, those behind `value`


cdef nogil:
    # --- a round -------------------------------------------------------------------------------------------------

    inline void begin(Account *self, uint64_t number, int64_t now_ns) noexcept:
        cdef uint32_t i
        memset(&self.round, 0, sizeof(self.round))
        self.round.number = number
        self.round.begun_ns = now_ns
        self.round.state = RoundState.ASKING
        self.foreign_listed = 0
        for i in range(self.asset_count):
            self.assets[i].told = 0
            self.assets[i].told_decimals = UNTOLD
            self.assets[i].settled = 0

    inline void abandon(Account *self) noexcept:
        """Its answers, should they still come, are of no use: the private stream was interrupted."""
        self.round.state = RoundState.NO_ROUND

    inline void hear(Account *self, uint16_t asset, int64_t amount, uint8_t decimals) noexcept:
        """The account holds so much of an asset; what is told of it in parts is added up."""
        cdef AssetBook *book
        cdef int128 told
        if asset >= self.asset_count:
            return
        book = &self.assets[asset]
        told = at_scale(amount, decimals)
        book.told = book.told + told
        if book.told_decimals == UNTOLD or decimals > book.told_decimals:
            book.told_decimals = decimals

    # --- balances ------------------------------------------------------------------------------------------------

    inline void first(const Account *self, uint32_t asset, Walk *walk) noexcept:
        """The tally as it was when the round began."""
        cdef uint32_t i
        walk.value = self.assets[asset].tally
        walk.next = 0
        walk.after = 0
        for i in range(self.round.change_count):
            if self.changes[i].asset == asset:
                walk.value = walk.value - self.changes[i].amount
                walk.after += 1

    inline bint following(const Account *self, uint32_t asset, Walk *walk) noexcept:
        """As it was after one more change; False: there was none."""
        while walk.next < self.round.change_count:
            walk.next += 1
            if self.changes[walk.next - 1].asset == asset:
                walk.value = walk.value + self.changes[walk.next - 1].amount
                walk.after -= 1
                return True
        return False

    inline int128 tolerance(const AssetBook *book) noexcept:
        """What rounding may have made of the fills since it last agreed."""
        cdef int128 unit = 1
        cdef int128 fills = <int128>book.fills
        cdef int decimals = USUAL_DECIMALS if book.told_decimals == UNTOLD else book.told_decimals
        if book.fills == 0:
            return 0
        unit = at_scale(unit, decimals if decimals < AMOUNT_DECIMALS else <int>AMOUNT_DECIMALS)
        return unit * (fills + 1)

    inline bint is_near(int128 left, int128 right, int128 most) noexcept:
        cdef int128 distance = left - right
        if distance < 0:
            distance = -distance
        return distance <= most

    inline bint agrees(Account *self, uint32_t asset) noexcept:
        """Whether what was told fits a value that the tally had; then that is what later rounds begin from."""
        cdef AssetBook *book = &self.assets[asset]
        cdef int128 most = tolerance(book)
        cdef int128 offset
        cdef Walk walk
        first(self, asset, &walk)
        while True:
            offset = book.told - walk.value
            if is_near(offset, book.offset, most):
                confirm(self, book, offset, walk.after)
                return True
            if not following(self, asset, &walk):
                return False

    inline void confirm(Account *self, AssetBook *book, int128 offset, uint32_t after) noexcept:
        self.is_news |= not book.is_known or book.fills != after or book.offset != offset
        book.offset = offset
        book.is_known = 1
        book.fills = after
        book.misses = 0
        book.candidate_count = 0
        book.settled = 1

    inline bint collect(Account *self, uint32_t asset) noexcept:
        """Keep the offsets that this round and those before it allow; False: there is none, and it begins anew with
        those of this round."""
        cdef AssetBook *book = &self.assets[asset]
        cdef int128 most = tolerance(book)
        cdef int128 found[MOST_CANDIDATES]
        cdef int128 kept[MOST_CANDIDATES]
        cdef int128 offset
        cdef uint32_t count = 0
        cdef uint32_t kept_count = 0
        cdef uint32_t i, j
        cdef Walk walk
        first(self, asset, &walk)
        while count < MOST_CANDIDATES:
            offset = book.told - walk.value
            if not is_among(offset, found, count, 0):
                found[count] = offset
                count += 1
            if not following(self, asset, &walk):
                break
        for i in range(count):
            if is_among(found[i], book.candidates, book.candidate_count, most):
                kept[kept_count] = found[i]
                kept_count += 1
        if kept_count:
            for j in range(kept_count):
                book.candidates[j] = kept[j]
            book.candidate_count = kept_count
            return True
        for j in range(count):
            book.candidates[j] = found[j]
        book.candidate_count = count
        return False

    inline bint is_among(int128 value, const int128 *values, uint32_t count, int128 most) noexcept:
        cdef uint32_t i
        for i in range(count):
            if is_near(value, values[i], most):
                return True
        return False

    inline void learn(Account *self, uint32_t asset) noexcept:
        """The offset of an asset of which it is not known."""
        cdef AssetBook *book = &self.assets[asset]
        collect(self, asset)
        if book.candidate_count == 1:
            confirm(self, book, book.candidates[0], 0)

    inline uint32_t settle(Account *self, bint is_final) noexcept:
        """Look at every balance that is not settled; how many do not agree even now, besides those of which the offset
        is not known yet (`learning`). `is_final`: nothing more will come that could explain them, so it counts."""
        cdef AssetBook *book
        cdef uint32_t left = 0
        cdef uint32_t i
        self.round.learning = 0
        for i in range(self.asset_count):
            book = &self.assets[i]
            if book.settled or book.differs:
                continue
            if self.round.overflowed:
                left += 1
                continue
            if book.is_known:
                if agrees(self, i):
                    continue
                left += 1
                if is_final:
                    book.misses = <uint8_t>(book.misses + 1) if collect(self, i) and book.misses < 255 else 1
            else:
                learn(self, i)
                self.round.learning += not book.settled
        return left

    inline bint is_unexplained(const AssetBook *book) noexcept:
        """Whether a balance disagrees, and nobody was told."""
        return book.is_known != 0 and book.settled == 0 and book.differs == 0

    inline bint is_concluded(const AssetBook *book) noexcept:
        """Whether a balance has disagreed so often that it is a difference, and nobody was told yet."""
        return is_unexplained(book) and book.misses >= CONFIRMATIONS

    inline int128 expected(const AssetBook *book) noexcept:
        """What the account should hold, for all that we know now."""
        return book.offset + book.tally

    inline void resume(Account *self, uint16_t asset, int128 amount, uint64_t fills) noexcept:
        """What the account holds by our books of before, and fills since the exchange agreed."""
        cdef AssetBook *book
        if asset >= self.asset_count:
            return
        book = &self.assets[asset]
        book.offset = amount - book.tally
        book.fills = fills
        book.is_known = 1

    inline void accept(AssetBook *book) noexcept:
        """What the exchange shows from now on is right."""
        book.is_known = 0
        book.differs = 0
        book.misses = 0
        book.candidate_count = 0

    inline void cut_off(Account *self, int64_t newest_ns) noexcept:
        """What was filled by then is in what is held, also if only an answer told it, which is not written down: then a
        question about the order may tell it once more, with a time that was rounded otherwise."""
        if newest_ns and newest_ns + COARSE_NS > self.forgotten_ns:     # 0 = no fill was counted at all
            self.forgotten_ns = newest_ns + COARSE_NS

    inline void take_held(Account *self, const ExecutionReport *report, int64_t wall_ns) noexcept:
        """What a run wrote down of its account, read again: what it has heard of before is in it."""
        if report.last_quantity < 0:        # a person accepted what there is, whatever that is
            if report.fee_asset < self.asset_count:
                accept(&self.assets[report.fee_asset])
            return
        resume(self, report.fee_asset, account.held(report), <uint64_t>report.last_quantity)
        self.held_count = self.seen_count
        self.held_ns, self.held_wall_ns = report.exchange_ns, wall_ns
        cut_off(self, report.exchange_ns)

    # --- orders --------------------------------------------------------------------------------------------------

    inline void note_strange(Account *self, uint64_t client_order_id, uint32_t listing) noexcept:
        """One of ours is open there and had ended here. When there is no room for it there are enough to tell."""
        cdef StrangeOrder *free = NULL
        cdef StrangeOrder *order
        cdef uint32_t i
        for i in range(<uint32_t>MOST_STRANGE):
            order = &self.strange[i]
            if order.client_order_id == client_order_id:
                if order.round != self.round.number:
                    order.round = self.round.number
                    order.misses += order.misses < 255
                return
            if order.client_order_id == 0 and free is NULL:
                free = order
        if free is not NULL:
            free.client_order_id = client_order_id
            free.listing = listing
            free.round = self.round.number
            free.misses = 1
            free.differs = 0

    inline uint32_t settle_strange(Account *self) noexcept:
        """Forget those that this round did not list; how many are left that were not told."""
        cdef uint32_t left = 0
        cdef uint32_t i
        for i in range(<uint32_t>MOST_STRANGE):
            if self.strange[i].client_order_id == 0:
                continue
            if self.strange[i].round != self.round.number:
                self.strange[i].client_order_id = 0
            elif not self.strange[i].differs:
                left += 1
        return left


cdef class AccountBook:
    cdef Account account
    cdef list kept_alive

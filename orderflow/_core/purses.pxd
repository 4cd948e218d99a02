"""What our accounts hold on every exchange, asset by asset, as the router knows it, and what our orders tie up of it.

An exchange thread tells what an account holds after each round in which its books and the exchange's agreed
(REPORT_HELD; reconciliation.pxd), in order with the fills; every fill that is heard after that changes it. What is held
includes what open orders tie up: those are ours, as far as we know, and are taken off. A buy ties up quote currency,
at its limit and with the taker's fee; a sale the base. Where nothing was told, or it is not known any more, nobody is
held back: then the exchange's refusal is heard (pauses.pxd). Fills of other programs are in what is told next; of a
transfer nobody knows until somebody accepts it.

Amounts are in 1e-18. Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core cimport fixed
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport ExecutionReport, Listing, Side

cdef enum:
    AMOUNT_DECIMALS = 18
    FEE_UNIT = 100_000_000
    MONEY_UNIT = 10_000_000_000     # of 1e-8, as placeable.pxd has funds
    NO_PURSE = 0xFFFFFFFF


cdef struct Purse:              # of one asset on one exchange
    int128 held
    int128 tied
    uint8_t is_known


cdef struct Purses:
    Purse *purses               # exchange after exchange, in the order of its asset table
    uint32_t *first             # by exchange: where its purses begin; one more at the end
    uint32_t *bases             # by listing; NO_PURSE
    uint32_t *quotes


cdef nogil:
    inline int128 at_scale(int128 value, int decimals) noexcept:
        """In 1e-18; what is finer is cut off."""
        if decimals <= AMOUNT_DECIMALS:
            return value * <int64_t>fixed.POWERS[<int>AMOUNT_DECIMALS - decimals]
        return value / <int64_t>fixed.POWERS[decimals - <int>AMOUNT_DECIMALS]

    inline uint32_t spent(const Purses *self, uint32_t listing, uint8_t side) noexcept:
        """Which purse an order draws on."""
        if self.purses is NULL:
            return <uint32_t>NO_PURSE
        return self.quotes[listing] if side == Side.BUY else self.bases[listing]

    inline int128 needed(const Listing *listing, uint8_t side, int64_t price, int64_t quantity) noexcept:
        """Of that purse, by an order of so much at a limit, listing scale."""
        cdef int128 amount = quantity
        cdef int64_t fee = listing.taker_fee if listing.taker_fee > 0 else 0
        if side == Side.SELL:
            return at_scale(amount, listing.quantity_decimals)
        amount = at_scale(amount * price, listing.price_decimals + listing.quantity_decimals)
        return amount + amount / <int64_t>FEE_UNIT * fee

    inline void tie(Purses *self, const Listing *listing, uint8_t side, int64_t price, int64_t quantity,
                    int128 *tied) noexcept:
        """An order at that limit may still be filled with so much, listing scale; `tied` is what it ties up so far."""
        cdef uint32_t purse = spent(self, listing.index, side)
        cdef int128 now
        if purse == <uint32_t>NO_PURSE:
            return
        now = needed(listing, side, price, quantity)
        self.purses[purse].tied = self.purses[purse].tied + now - tied[0]
        tied[0] = now

    inline void hear(Purses *self, uint32_t exchange, const ExecutionReport *report) noexcept:
        """REPORT_HELD."""
        cdef uint32_t purse
        if self.purses is NULL or report.fee_asset >= self.first[exchange + 1] - self.first[exchange]:
            return
        purse = self.first[exchange] + report.fee_asset
        self.purses[purse].is_known = report.last_quantity >= 0
        self.purses[purse].held = at_scale(report.fee, report.fee_decimals) + <int128>report.last_price

    inline void add(Purses *self, uint32_t purse, int128 more) noexcept:
        if purse != <uint32_t>NO_PURSE:
            self.purses[purse].held = self.purses[purse].held + more

    inline void take_fill(Purses *self, const Listing *listing, uint8_t side, int64_t price, int64_t quantity,
                          const ExecutionReport *report) noexcept:
        """A fill that was not heard before, of so much of it as is new."""
        cdef int128 amount = quantity
        cdef int128 base = at_scale(amount, listing.quantity_decimals)
        cdef int128 quote = at_scale(amount * price, listing.price_decimals + listing.quantity_decimals)
        if self.purses is NULL:
            return
        if side == Side.BUY:
            quote = -quote
        else:
            base = -base
        add(self, self.bases[listing.index], base)
        add(self, self.quotes[listing.index], quote)
        if report.fee and report.fee_asset < self.first[listing.exchange + 1] - self.first[listing.exchange]:
            add(self, self.first[listing.exchange] + report.fee_asset, -at_scale(report.fee, report.fee_decimals))

    inline int128 free(const Purses *self, uint32_t listing, uint8_t side) noexcept:
        """What an order may still draw on, in 1e-18; -1 = nobody knows."""
        cdef uint32_t purse = spent(self, listing, side)
        cdef int128 left
        if purse == <uint32_t>NO_PURSE or not self.purses[purse].is_known:
            return -1
        left = self.purses[purse].held - self.purses[purse].tied
        return left if left > 0 else <int128>0

    inline int64_t most_to_sell(const Listing *listing, int128 amount) noexcept:
        """So much of the base in the listing's quantities."""
        amount = amount / <int64_t>fixed.POWERS[<int>AMOUNT_DECIMALS - <int>listing.quantity_decimals]
        return <int64_t>amount if amount < INT64_MAX else INT64_MAX - 1

    inline int64_t most_to_spend(int128 amount) noexcept:
        """So much of the quote currency in 1e-8."""
        amount = amount / <int64_t>MONEY_UNIT
        return <int64_t>amount if amount < INT64_MAX else INT64_MAX - 1

"""Money: how much capital is in use, and what has been won or lost with it.

**Capital in use** is what everything would be worth if all that is open and in doubt were filled on the worse side: for
each listing max(net + open buys, open sells - net), at the reference price. A long position on one exchange and a
short one on another both need capital, so of an exchange, and of everything, it is the sum over listings; of a strategy
it is the sum over instruments, because what a strategy holds where is the router's doing. An order that adds nothing
to it (it closes a position) is never refused here, however much is in use.

**Profit** is cash plus position: what sells brought less what buys and fees cost, plus the net position at the
reference price. That is realised and unrealised profit together without an average price. A fee counts at the listing's
taker fee, in whatever asset it will be charged. It is counted from the start of the run or of the day, or since it was
armed again by hand, whichever was last.

**Losing too much** leaves only orders that reduce. While the numbers say so it is refused what does not reduce; when
they have said so for `stand_ns` at marks that were fresh all that time, it trips and stays so until it is armed again
by hand, over the end of the day too. One bad quote is gone by then, and a mark that has grown old never trips. The peak
of a drawdown is held to the same rule: the largest profit that stood for a whole `stand_ns`.

Every stake keeps what it was last valued at, and the sums are corrected by the difference: no drift, and one
multiplication per stake of an instrument whose reference price moved. Amounts are held within +-2**118, so that no sum
of them leaves 128 bits.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, risk_price, wide
from orderflow._core.fixed cimport int128
from orderflow._core.risk_state cimport (
    FRACTION, Decision, Exposure, ListingBooks, ListingLimits, Money, Risk, Stake, exchange_money, refuse, stake_of,
    strategy_money, total_money)
from orderflow._core.types cimport ChildOrder, OrderType, Reason, Side

cdef extern from *:
    """
    namespace orderflow {
    // amount * factor, held within +-2**118.
    inline __int128 saturated(__int128 amount, long long factor) noexcept {
        const __int128 most = (__int128)1 << 118;
        __int128 product;
        if (__builtin_mul_overflow(amount, (__int128)factor, &product) || product > most || product < -most)
            return (amount < 0) == (factor < 0) ? most : -most;
        return product;
    }
    }
    """
    int128 saturated "orderflow::saturated"(int128 amount, int64_t factor) noexcept nogil


cdef nogil:
    # --- values --------------------------------------------------------------------------------------------------

    inline int128 money_of(const Exposure *exposure, int128 quantity) noexcept:
        """What a quantity (instrument scale) is worth at the reference price."""
        return saturated(saturated(quantity, exposure.reference_price), exposure.money_factor)

    inline int128 larger_side(const Stake *stake, int128 more_buys, int128 more_sells) noexcept:
        """The position, long or short, if all that is open on the worse side were filled, and so much more."""
        cdef int128 bought = stake.net + stake.open_buys
        cdef int128 sold = stake.open_sells - stake.net
        bought = bought + more_buys
        sold = sold + more_sells
        return bought if bought > sold else sold

    inline void value_listing(Risk *risk, uint32_t listing) noexcept:
        """After anything changed that the capital in use on a listing depends on."""
        cdef ListingBooks *books = &risk.books[listing]
        cdef const Exposure *exposure = &risk.exposures[risk.limits[listing].instrument]
        cdef int128 used = money_of(exposure, larger_side(&books.stake, 0, 0))
        cdef int128 more = used - books.stake.used
        cdef Money *exchange = exchange_money(risk, books.exchange, exposure.currency)
        cdef Money *total = total_money(risk, exposure.currency)
        books.stake.used = used
        exchange.used = exchange.used + more
        total.used = total.used + more

    inline void value_stake(Risk *risk, uint32_t strategy, uint32_t instrument) noexcept:
        """After anything changed that the capital or profit of a strategy in an instrument depends on."""
        cdef Stake *stake = stake_of(risk, strategy, instrument)
        cdef Exposure *exposure = &risk.exposures[instrument]
        cdef int128 used = money_of(exposure, larger_side(stake, 0, 0))
        cdef int128 worth = money_of(exposure, stake.net)
        cdef int128 more = worth - stake.worth
        cdef Money *own = strategy_money(risk, strategy, exposure.currency)
        cdef Money *total = total_money(risk, exposure.currency)
        own.used = own.used + used - stake.used
        own.worth = own.worth + more
        total.worth = total.worth + more
        stake.used = used
        stake.worth = worth
        if stake.net or stake.open_buys or stake.open_sells:
            exposure.holders |= <uint32_t>1 << strategy
        else:
            exposure.holders &= ~(<uint32_t>1 << strategy)

    inline int128 money_paid(const ListingLimits *limits, const Exposure *exposure, int128 notional, int64_t rate,
                             uint8_t side) noexcept:
        """A listing's price times quantity as money of its instrument's currency."""
        cdef int128 value = saturated(saturated(notional, limits.price_factor), limits.quantity_factor)
        return saturated(conversion.amount(value, rate, side), exposure.money_factor)

    inline void take_fill(Risk *risk, uint32_t listing, uint32_t strategy, uint8_t side, int128 notional,
                          int64_t rate) noexcept:
        """Cash of a fill; `notional` is the listing's price times quantity, `rate` that of its order."""
        cdef const ListingLimits *limits = &risk.limits[listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef int128 amount = money_paid(limits, exposure, notional, rate, side)
        cdef int128 fee = amount / FRACTION
        cdef int128 rest = amount - fee * FRACTION
        cdef Money *own = strategy_money(risk, strategy, exposure.currency)
        cdef Money *total = total_money(risk, exposure.currency)
        fee = saturated(fee, risk.books[listing].fee) + rest * <int128>risk.books[listing].fee / FRACTION
        if side == Side.BUY:
            amount = -amount
        amount = amount - fee
        own.cash = own.cash + amount
        total.cash = total.cash + amount

    inline void add_carried(Risk *risk, uint32_t listing, int128 cash, int64_t rate) noexcept:
        cdef const ListingLimits *limits = &risk.limits[listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef Money *own = strategy_money(risk, 0, exposure.currency)
        cdef Money *total = total_money(risk, exposure.currency)
        cdef int128 brought = money_paid(limits, exposure, cash, rate, Side.SELL)
        own.cash = own.cash + brought
        total.cash = total.cash + brought

    inline void carry(Risk *risk, uint32_t listing, int64_t quantity, int128 cash) noexcept:
        """What a listing held when the run began, and the cash that it brought, negative for what was paid (listing
        scale): of nobody's strategy. Where that takes a rate, it waits for the first one (`convert_carried`)."""
        cdef const ListingLimits *limits = &risk.limits[listing]
        cdef Exposure *exposure = &risk.exposures[limits.instrument]
        cdef Stake *stake = stake_of(risk, 0, limits.instrument)
        cdef int128 held = wide.product(quantity, limits.quantity_factor)
        exposure.net = exposure.net + held
        stake.net = stake.net + held
        risk.books[listing].stake.net = risk.books[listing].stake.net + held
        if not limits.converted:
            add_carried(risk, listing, cash, 0)
        elif cash:
            exposure.awaited += risk.books[listing].carried == 0
            risk.books[listing].carried = risk.books[listing].carried + cash
        value_listing(risk, listing)
        value_stake(risk, 0, limits.instrument)

    inline void convert_carried(Risk *risk, uint32_t listing, int64_t buy, int64_t sell) noexcept:
        """The first rates that are known of a listing: what was carried is taken at the one of its side."""
        cdef int128 cash = risk.books[listing].carried
        if cash == 0:
            return
        risk.books[listing].carried = 0
        risk.exposures[risk.limits[listing].instrument].awaited -= 1
        add_carried(risk, listing, cash, buy if cash < 0 else sell)

    # --- capital -------------------------------------------------------------------------------------------------

    inline bint check_used(const Money *money, int128 more, uint8_t code, Decision *decision) noexcept:
        if money.used + more > money.maximum_used:
            return refuse(decision, code, money.maximum_used, money.used + more)
        return True

    inline bint check_capital(const Risk *risk, const ChildOrder *child, Decision *decision) noexcept:
        """Capital in use with this order, of its exchange, of everything and of its strategy."""
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        cdef const ListingBooks *books = &risk.books[child.listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef const Stake *stake = stake_of(risk, child.strategy, limits.instrument)
        cdef int128 buys = 0
        cdef int128 sells = 0
        cdef int128 more
        if child.side == Side.BUY:
            buys = wide.product(child.quantity, limits.quantity_factor)
        else:
            sells = wide.product(child.quantity, limits.quantity_factor)
        more = money_of(exposure, larger_side(&books.stake, buys, sells)) - books.stake.used
        if more > 0 and not (
                check_used(exchange_money(risk, books.exchange, exposure.currency), more,
                           Reason.EXCHANGE_CAPITAL_EXCEEDED, decision)
                and check_used(total_money(risk, exposure.currency), more, Reason.CAPITAL_EXCEEDED, decision)):
            return False
        more = money_of(exposure, larger_side(stake, buys, sells)) - stake.used
        return more <= 0 or check_used(strategy_money(risk, child.strategy, exposure.currency), more,
                                       Reason.STRATEGY_CAPITAL_EXCEEDED, decision)

    inline bint check_value(const Risk *risk, const ChildOrder *child, Decision *decision) noexcept:
        """What one order of a strategy may be worth at its own price; a market order at the reference price."""
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef const Money *money = strategy_money(risk, child.strategy, exposure.currency)
        cdef int128 value
        if child.order_type == OrderType.MARKET:
            value = wide.product(exposure.reference_price, child.quantity)
        else:
            value = saturated(risk_price.priced_at(limits, child), child.quantity)
        value = saturated(saturated(value, limits.quantity_factor), exposure.money_factor)
        if value > money.maximum_notional:
            return refuse(decision, Reason.STRATEGY_NOTIONAL_EXCEEDED, money.maximum_notional, value)
        return True

    # --- loss ----------------------------------------------------------------------------------------------------

    inline int128 profit(const Money *money) noexcept:
        cdef int128 now = money.cash + money.worth
        return now - money.origin

    inline bint loses_too_much(const Money *money) noexcept:
        return -profit(money) > money.maximum_loss

    inline bint fell_too_far(const Money *money) noexcept:
        return money.peak - profit(money) > money.maximum_drawdown

    inline void note_peak(Money *money, int64_t now_ns) noexcept:
        cdef int128 now = profit(money)
        if money.low_ns == 0 or now < money.low:
            money.low = now
        if money.low_ns == 0:
            money.low_ns = now_ns
        elif now_ns - money.low_ns >= money.stand_ns:
            if money.low > money.peak:
                money.peak = money.low
            money.low = now
            money.low_ns = now_ns

    inline bint marks_are_fresh(const Risk *risk, uint32_t holders, uint32_t currency, int64_t now_ns) noexcept:
        """Whether the reference price of every instrument that one of these strategies holds is young enough."""
        cdef const Exposure *exposure
        cdef uint32_t i
        for i in range(risk.instrument_count):
            exposure = &risk.exposures[i]
            if (exposure.holders & holders and exposure.currency == currency
                    and now_ns - exposure.reference_ns > exposure.reference_age_ns):
                return False
        return True

    inline void judge(const Risk *risk, Money *money, uint32_t holders, uint32_t currency, int64_t now_ns) noexcept:
        """Note the peak, and trip where too much has been lost for long enough."""
        note_peak(money, now_ns)
        if money.tripped:
            return
        if not ((loses_too_much(money) or fell_too_far(money)) and marks_are_fresh(risk, holders, currency, now_ns)):
            money.breached_ns = 0
            return
        if money.breached_ns == 0:
            money.breached_ns = now_ns
        if now_ns - money.breached_ns >= money.stand_ns:
            if loses_too_much(money):
                money.tripped = Reason.LOSS_EXCEEDS_MAXIMUM
                money.tripped_at = -profit(money)
            else:
                money.tripped = Reason.DRAWDOWN_EXCEEDS_MAXIMUM
                money.tripped_at = money.peak - profit(money)

    inline void judge_instrument(Risk *risk, uint32_t instrument, int64_t now_ns) noexcept:
        """After the mark of an instrument: everybody who holds it."""
        cdef uint32_t holders = risk.exposures[instrument].holders
        cdef uint32_t currency = risk.exposures[instrument].currency
        cdef uint32_t s
        if not holders:
            return
        for s in range(risk.strategy_count):
            if holders >> s & 1:
                judge(risk, strategy_money(risk, s, currency), <uint32_t>1 << s, currency, now_ns)
        judge(risk, total_money(risk, currency), <uint32_t>-1, currency, now_ns)

    inline bint may_only_reduce(const Money *money, uint8_t loss, uint8_t drawdown, Decision *decision) noexcept:
        """Whether too much has been lost; `decision` says so then."""
        if money.tripped == Reason.LOSS_EXCEEDS_MAXIMUM:
            refuse(decision, loss, money.maximum_loss, money.tripped_at)
        elif money.tripped:
            refuse(decision, drawdown, money.maximum_drawdown, money.tripped_at)
        elif loses_too_much(money):
            refuse(decision, loss, money.maximum_loss, -profit(money))
        elif fell_too_far(money):
            refuse(decision, drawdown, money.maximum_drawdown, money.peak - profit(money))
        else:
            return False
        return True

    inline bint reduces(int128 net, int128 open_side, uint8_t side, int128 quantity) noexcept:
        """Whether a position can only shrink by this order and those that are open on its side."""
        return open_side + quantity <= (-net if side == Side.BUY else net)

    inline bint check_loss(Risk *risk, const ChildOrder *child, int64_t now_ns, Decision *decision) noexcept:
        """Who has lost too much, its strategy or everything, may only reduce."""
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef const Stake *stake = stake_of(risk, child.strategy, limits.instrument)
        cdef Money *own = strategy_money(risk, child.strategy, exposure.currency)
        cdef Money *total = total_money(risk, exposure.currency)
        cdef int128 quantity = wide.product(child.quantity, limits.quantity_factor)
        cdef bint buys = child.side == Side.BUY
        judge(risk, own, <uint32_t>1 << child.strategy, exposure.currency, now_ns)
        judge(risk, total, <uint32_t>-1, exposure.currency, now_ns)
        if may_only_reduce(total, Reason.LOSS_EXCEEDS_MAXIMUM, Reason.DRAWDOWN_EXCEEDS_MAXIMUM, decision):
            if not reduces(exposure.net, exposure.open_buys if buys else exposure.open_sells, child.side, quantity):
                return False
        if may_only_reduce(own, Reason.STRATEGY_LOSS_EXCEEDED, Reason.STRATEGY_DRAWDOWN_EXCEEDED, decision):
            if not reduces(stake.net, stake.open_buys if buys else stake.open_sells, child.side, quantity):
                return False
        refuse(decision, Reason.OK, 0, 0)
        return True

    inline void begin_day(Money *money) noexcept:
        """Count anew; what has tripped stays so."""
        cdef uint8_t tripped = money.tripped
        rearm(money)
        money.tripped = tripped

    inline void rearm(Money *money) noexcept:
        """Begin to count profit anew."""
        money.origin = money.cash + money.worth
        money.peak = 0
        money.low_ns = 0
        money.breached_ns = 0
        money.tripped = 0

"""Set-up of risk.pxd and its view for Python."""
from collections import namedtuple

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from orderflow._core cimport purses, risk_money, risk_rates
from orderflow._core.memory cimport zeroed
from orderflow._core.order_table cimport OrderTable
from orderflow._core.purses cimport Purse, Purses
from orderflow._core.risk_state cimport FRACTION, NOBODY, Throttle
from orderflow._core.token_bucket cimport TokenBucket
from orderflow._core.types cimport Conversion

import numpy as np

from orderflow._core.types import LISTING_DTYPE

MAXIMUM_NOTIONAL = (1 << 126) - 1
NOTIONAL_DECIMALS = 8           # of the limits given by people and exchanges
MOST_STRATEGIES = 32            # bits of Exposure.holders
MOST_EVENTS = 1 << 16           # that a window may have
LARGEST_FACTOR = 10 ** 18       # that fits a word

DecisionView = namedtuple("DecisionView", "code limit actual")
ExposureView = namedtuple("ExposureView", "net open_buys open_sells maximum_position reference_price reference_ns")
MoneyView = namedtuple("MoneyView", "used maximum_used profit peak maximum_loss maximum_drawdown tripped")
RefusalView = namedtuple("RefusalView", "code limit actual now_ns times listing")
StrategyView = namedtuple("StrategyView", "state reason")


def product_limit(amount, decimals, *, lowest):
    """An amount in 1e-8 of the quote currency as a product of scaled price and quantity with `decimals` in all,
    exactly.

    `lowest`: True for a minimum (rounded up), False for a maximum (rounded down); so products compare as the amounts
    would. """
    if decimals >= NOTIONAL_DECIMALS:
        return min(amount * 10 ** (decimals - NOTIONAL_DECIMALS), MAXIMUM_NOTIONAL)
    divisor = 10 ** (NOTIONAL_DECIMALS - decimals)
    return -(-amount // divisor) if lowest else amount // divisor


cdef class RiskBook:
    """Owns the limits, exposures and commitments. Written by the router thread once it runs.

    Parameters
    ----------
    listings : numpy structured array of LISTING_DTYPE, shape (n,)
        Kept alive; ticks, lots and minimums are taken from it by `set_listing`.
    orders, parents : int
        Capacities of the order table this risk watches.
    strategies : int
        How many there are; 0 is what Python submits.
    currencies : sequence of int, optional
        Of each instrument the number of the currency that it is priced in; None = one for all.

    Attributes
    ----------
    money_decimals : list of int
        By currency: an amount of money is an integer / 10**decimals.
    """

    def __init__(self, listings, *, uint32_t orders=16384, uint32_t parents=1024, uint32_t strategies=1,
                 currencies=None):
        if listings.dtype != LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        if not len(listings) or not orders or not parents:
            raise ValueError("listings, orders and parents: at least one of each")
        if not 0 < strategies <= MOST_STRATEGIES:
            raise ValueError(f"strategies: {strategies}, expected 1 to {MOST_STRATEGIES}")
        if self.risk.limits is not NULL:
            raise RuntimeError("a risk book is initialised once")
        self.listings_owner = np.ascontiguousarray(listings)
        cdef const unsigned char[::1] raw = self.listings_owner.view(np.uint8)
        self.listings = <const Listing *>&raw[0]
        self.risk.listings = self.listings
        self.risk.listing_count = len(listings)
        self.risk.instrument_count = int(listings["instrument"].max()) + 1
        self.risk.exchange_count = int(listings["exchange"].max()) + 1
        self.risk.strategy_count = strategies
        chosen = [0] * self.risk.instrument_count if currencies is None else list(currencies)
        if len(chosen) != self.risk.instrument_count:
            raise ValueError(f"currencies: {len(chosen)} for {self.risk.instrument_count} instruments")
        self.risk.currency_count = max(chosen) + 1
        self.risk.order_capacity = orders
        self.risk.parent_capacity = parents
        self._allocate()
        self._make_members()
        self._make_money(chosen)

    cdef int _allocate(self) except -1:
        cdef uint32_t i
        cdef Risk *risk = &self.risk
        risk.limits = <ListingLimits *>zeroed(risk.listing_count, sizeof(ListingLimits))
        risk.books = <ListingBooks *>zeroed(risk.listing_count, sizeof(ListingBooks))
        risk.exposures = <Exposure *>zeroed(risk.instrument_count, sizeof(Exposure))
        risk.drifts = <Drift *>zeroed(risk.instrument_count, sizeof(Drift))
        risk.commitments = <Commitment *>zeroed(risk.parent_capacity, sizeof(Commitment))
        risk.refusals = <Refusal *>zeroed(risk.parent_capacity, sizeof(Refusal))
        risk.held = <Held *>zeroed(risk.order_capacity, sizeof(Held))
        risk.strategies = <Strategy *>zeroed(risk.strategy_count, sizeof(Strategy))
        risk.stakes = <Stake *>zeroed(<size_t>risk.strategy_count * risk.instrument_count, sizeof(Stake))
        risk.money = <Money *>zeroed(
            <size_t>risk.currency_count * (1 + risk.exchange_count + risk.strategy_count), sizeof(Money))
        for i in range(risk.strategy_count):
            risk.strategies[i].state = TradingState.ACTIVE
        return 0

    def _make_members(self):
        """Listings instrument by instrument, and where each instrument begins."""
        owner = self.listings_owner
        order = np.argsort(owner["instrument"], kind="stable").astype(np.uint32)
        first = np.searchsorted(owner["instrument"][order],
                                np.arange(self.risk.instrument_count + 1)).astype(np.uint32)
        self.kept_alive = [order, first]
        cdef const uint32_t[::1] members = order
        cdef const uint32_t[::1] begins = first
        self.risk.members, self.risk.first = &members[0], &begins[0]

    def _make_money(self, list currencies):
        """The scale of every currency: the finest of its instruments, so that all of them add up exactly."""
        cdef uint32_t i, row
        cdef Money *money
        decimals = [0] * self.risk.instrument_count
        for i in range(self.risk.listing_count):
            source = self.listings_owner[i]
            self.risk.books[i].exchange = source["exchange"]
            self.risk.books[i].fee = source["taker_fee"]
            self.risk.books[i].own[0].newest = self.risk.books[i].own[1].newest = <uint32_t>NOBODY
            decimals[source["instrument"]] = (
                int(source["price_decimals"]) + int(source["quantity_decimals"])
                + len(str(max(1, source["price_factor"]))) - 1 + len(str(max(1, source["quantity_factor"]))) - 1)
        self.money_decimals = [max((each for each, currency in zip(decimals, currencies, strict=True)
                                    if currency == wanted), default=0) for wanted in range(self.risk.currency_count)]
        for i in range(self.risk.instrument_count):
            factor = 10 ** (self.money_decimals[currencies[i]] - decimals[i])
            if factor > LARGEST_FACTOR:
                raise ValueError(f"instrument {i}: its scale has {decimals[i]} decimals, another instrument of its "
                                 f"currency {self.money_decimals[currencies[i]]}; they cannot be added up")
            self.risk.exposures[i].money_factor = factor
            self.risk.exposures[i].currency = currencies[i]
        for row in range(1 + self.risk.exchange_count + self.risk.strategy_count):
            for i in range(self.risk.currency_count):
                money = &self.risk.money[row * self.risk.currency_count + i]
                money.maximum_drawdown = MAXIMUM_NOTIONAL
                if row:                         # what is not limited; of everything, capital and loss must be
                    money.maximum_used = money.maximum_notional = money.maximum_loss = MAXIMUM_NOTIONAL

    def __dealloc__(self):
        cdef uint32_t i
        free(self.risk.limits)
        free(self.risk.books)
        free(self.risk.exposures)
        free(self.risk.drifts)
        free(self.risk.commitments)
        free(self.risk.refusals)
        free(self.risk.held)
        if self.risk.strategies is not NULL:
            for i in range(self.risk.strategy_count):
                free(self.risk.strategies[i].fills.times_ns)
                free(self.risk.strategies[i].rejects.times_ns)
        free(self.risk.strategies)
        free(self.risk.stakes)
        free(self.risk.money)
        free(self.risk.purses.purses)
        free(self.risk.purses.first)
        free(self.risk.purses.bases)
        free(self.risk.purses.quotes)

    def set_purses(self, counts, bases, quotes):
        """What accounts hold is heard from now on (purses.pxd); to be called once, before any order.

        Parameters
        ----------
        counts : sequence of int
            By exchange: how many assets its table has.
        bases, quotes : sequence of int or None
            By listing: the numbers of its base and its quote in the asset table of its exchange; None = not in it.

        Raises
        ------
        ValueError
            They are not as many as exchanges and listings, or a number is not in its table.
        """
        cdef Purses *made = &self.risk.purses
        cdef uint32_t i, exchange
        if len(counts) < self.risk.exchange_count or not len(bases) == len(quotes) == self.risk.listing_count:
            raise ValueError(f"{len(counts)} exchanges, {len(bases)} bases and {len(quotes)} quotes for a table of "
                             f"{self.risk.listing_count} listings on {self.risk.exchange_count} exchanges")
        if made.purses is not NULL:
            raise RuntimeError("the purses are made once")
        made.first = <uint32_t *>zeroed(len(counts) + 1, sizeof(uint32_t))
        made.bases = <uint32_t *>zeroed(self.risk.listing_count, sizeof(uint32_t))
        made.quotes = <uint32_t *>zeroed(self.risk.listing_count, sizeof(uint32_t))
        for i in range(len(counts)):
            made.first[i + 1] = made.first[i] + <uint32_t>counts[i]
        made.purses = <Purse *>zeroed(max(1, made.first[len(counts)]), sizeof(Purse))
        for i in range(self.risk.listing_count):
            exchange = self.listings[i].exchange
            for place, number in enumerate((bases[i], quotes[i])):
                if number is not None and not 0 <= number < counts[exchange]:
                    raise ValueError(f"listing {i}: asset {number} of an exchange that has {counts[exchange]}")
                found = <uint32_t>purses.NO_PURSE if number is None else made.first[exchange] + number
                if place:
                    made.quotes[i] = found
                else:
                    made.bases[i] = found

    def free_funds(self, uint32_t listing, uint8_t side):
        """What an order of a side may still draw on there, in 1e-18 of the quote currency to buy, of the base to sell;
        None = nobody knows."""
        if listing >= self.risk.listing_count:
            raise IndexError(f"listing {listing} is not in the table of {self.risk.listing_count}")
        found = <object>purses.free(&self.risk.purses, listing, side)
        return found if found >= 0 else None

    def set_listing(self, uint32_t listing, *, maximum_quantity, maximum_notional, int64_t feed_age_ns=0,
                    uint8_t state=TradingState.ACTIVE):
        """Our limits for one listing; what the exchange demands comes from the listing table.

        Parameters
        ----------
        maximum_quantity : int
            Largest quantity of one order, listing scale.
        maximum_notional : int
            Largest value of one order, in 1e-8 of the quote currency.
        feed_age_ns : int
            How long ago its book may have heard of its exchange; 0 = for ever.
        state : TradingState

        Raises
        ------
        ValueError
            A limit that is not positive, or a listing whose tick, lot or factors are not.
        """
        if listing >= self.risk.listing_count:
            raise IndexError(f"listing {listing} is not in the table of {self.risk.listing_count}")
        if maximum_quantity <= 0 or maximum_notional <= 0:
            raise ValueError(f"listing {listing}: maximum_quantity and maximum_notional must be positive")
        cdef const Listing *source = &self.listings[listing]
        if min(source.tick, source.lot, source.price_factor, source.quantity_factor) <= 0:
            raise ValueError(f"listing {listing}: tick, lot and factors must be positive")
        cdef ListingLimits *limits = &self.risk.limits[listing]
        decimals = source.price_decimals + source.quantity_decimals
        limits.minimum_notional = product_limit(source.minimum_notional, decimals, lowest=True)
        limits.maximum_notional = product_limit(maximum_notional, decimals, lowest=False)
        limits.tick = source.tick
        limits.lot = source.lot
        limits.minimum_quantity = source.minimum_quantity
        limits.maximum_quantity = min(maximum_quantity, source.maximum_quantity or maximum_quantity)
        limits.price_factor = source.price_factor
        limits.quantity_factor = source.quantity_factor
        limits.instrument = source.instrument
        limits.converted = source.conversion != Conversion.NOT_CONVERTED
        self.risk.books[listing].feed.maximum_age_ns = feed_age_ns
        limits.state = TradingState.HALTED if source.halted else state

    def set_instrument(self, uint32_t instrument, *, int64_t maximum_position, int64_t collar, int64_t reference_age_ns,
                       int64_t drift_collar=0, int64_t drift_window_ns=0, position=0):
        """Limits of one instrument, in its scale.

        Parameters
        ----------
        maximum_position : int
            Largest position, long or short, if everything open is filled.
        collar : int
            How far beyond the reference price an order may be priced, as a fraction in 1e-8 (2 % = 2_000_000).
        reference_age_ns : int
            How old the reference price may be.
        drift_collar, drift_window_ns : int
            How far beyond the reference price of so long ago, as a fraction in 1e-8; a window of 0 = not checked.
        position : int
            The position that is there before the first order.
        """
        if instrument >= self.risk.instrument_count:
            raise IndexError(f"instrument {instrument} is not in the table of {self.risk.instrument_count}")
        if maximum_position <= 0 or reference_age_ns <= 0 or not 0 < collar < FRACTION:
            raise ValueError(f"instrument {instrument}: maximum_position and reference_age_ns must be positive, "
                             f"collar between 0 and {FRACTION}")
        cdef Exposure *exposure = &self.risk.exposures[instrument]
        exposure.maximum_position = maximum_position
        exposure.collar = collar
        exposure.reference_age_ns = reference_age_ns
        exposure.net = position
        if drift_window_ns < 0 or (drift_window_ns and not 0 < drift_collar < FRACTION):
            raise ValueError(f"instrument {instrument}: drift_window_ns must not be negative, drift_collar between 0 "
                             f"and {FRACTION}")
        self.risk.drifts[instrument].collar = drift_collar
        self.risk.drifts[instrument].window_ns = drift_window_ns

    def carry(self, uint32_t listing, int64_t quantity, cash):
        """What a listing held when the run began, long or short, and the cash that it brought, negative for what was
        paid, in its scale.

        It counts in position limits, in the capital in use, and with its unrealised profit in that of "manual"."""
        if listing >= self.risk.listing_count:
            raise IndexError(f"listing {listing} is not in the table of {self.risk.listing_count}")
        if self.risk.limits[listing].quantity_factor:       # else it cannot be traded
            risk_money.carry(&self.risk, listing, quantity, cash)

    def set_strategy(self, uint32_t strategy, *, messages=(0, 1), int64_t repeat_ns=0, fills=(0, 0), rejects=(0, 0)):
        """Limits of one strategy, before anything runs.

        Parameters
        ----------
        messages : (rate, period_ns)
            Orders and cancels; a fifth is kept for cancels. A rate of 0 = not limited.
        repeat_ns : int
            How long the same order again is taken for a mistake; 0 = never.
        fills, rejects : (most, window_ns)
            More than `most` orders filled or rejected within the window halt it; 0 = never.
        """
        self._check_index("strategy", strategy, self.risk.strategy_count)
        cdef Strategy *chosen = &self.risk.strategies[strategy]
        set_bucket(&chosen.messages, messages)
        if repeat_ns < 0:
            raise ValueError(f"strategy {strategy}: repeat_ns must not be negative")
        chosen.repeat_ns = repeat_ns
        set_throttle(&chosen.fills, fills)
        set_throttle(&chosen.rejects, rejects)

    def set_messages(self, messages):
        """(rate, period_ns) of orders and cancels of everything together; a rate of 0 = not limited."""
        set_bucket(&self.risk.messages, messages)

    def set_money(self, str what, uint32_t index, uint32_t currency, *, maximum_used=None, maximum_notional=None,
                  maximum_loss=None, maximum_drawdown=None, int64_t stand_ns=0):
        """Limits on money of one currency, in 1e-8 of it; None = leave it as it is.

        Parameters
        ----------
        what : "total", "exchange" or "strategy"
        index : int
            Of the exchange or the strategy.
        maximum_used : int
            Capital in use; of everything it is 0 until it is set.
        maximum_notional : int
            Of one order of a strategy. Those of instruments and exchanges are set_listing's.
        maximum_loss, maximum_drawdown : int
            From where counting began, and from the peak; the loss of everything is 0 until it is set.
        stand_ns : int
            How long it must have been exceeded at fresh marks before it trips.
        """
        cdef Money *money = self._money(what, index, currency)
        if maximum_used is not None:
            money.maximum_used = self._amount(maximum_used, currency)
        if maximum_notional is not None:
            money.maximum_notional = self._amount(maximum_notional, currency)
        if maximum_loss is not None:
            money.maximum_loss = self._amount(maximum_loss, currency)
        if maximum_drawdown is not None:
            money.maximum_drawdown = self._amount(maximum_drawdown, currency)
        money.stand_ns = stand_ns

    def _amount(self, amount, currency):
        if amount < 0:
            raise ValueError(f"an amount of money must not be negative: {amount}")
        return min(product_limit(amount, self.money_decimals[currency], lowest=False), MAXIMUM_NOTIONAL)

    def _check_index(self, str what, index, count):
        if index >= count:
            raise IndexError(f"{what} {index} is not one of {count}")

    cdef Money *_money(self, str what, uint32_t index, uint32_t currency) except NULL:
        self._check_index("currency", currency, self.risk.currency_count)
        if what == "total":
            return risk_money.total_money(&self.risk, currency)
        if what == "exchange":
            self._check_index(what, index, self.risk.exchange_count)
            return risk_money.exchange_money(&self.risk, index, currency)
        if what == "strategy":
            self._check_index(what, index, self.risk.strategy_count)
            return risk_money.strategy_money(&self.risk, index, currency)
        raise ValueError(f"{what!r}: expected total, exchange or strategy")

    def set_reference(self, uint32_t instrument, int64_t price, int64_t now_ns):
        """The reference price of an instrument, in its scale."""
        if instrument >= self.risk.instrument_count:
            raise IndexError(f"instrument {instrument} is not in the table of {self.risk.instrument_count}")
        set_reference(&self.risk, instrument, price, now_ns)

    @property
    def state(self):
        """TradingState of everything; HALTED until it is set."""
        return <TradingState>self.risk.state

    @state.setter
    def state(self, value):
        self.risk.state = value

    def set_feed(self, uint32_t listing, int book_state, int64_t receive_ns):
        """What a listing's board was last seen to say: its BookState, and when its last frame came."""
        self._check_index("listing", listing, self.risk.listing_count)
        set_feed(&self.risk, listing, <uint8_t>book_state, receive_ns)

    def check_parent(self, OrderTable table, uint32_t slot, int64_t now_ns):
        """Whether the parent in that slot repeats one of its strategy: DecisionView(code, limit, actual)."""
        cdef Decision decision
        table.parent(slot)
        refuse(&decision, Reason.OK, 0, 0)
        risk_rates.check_repeat(&self.risk, &table.table.parents[slot].order, now_ns, &decision)
        return DecisionView(<Reason>decision.code, decision.limit, decision.actual)

    def register_parent(self, OrderTable table, uint32_t slot, int64_t now_ns=0):
        """Note what the parent in that slot of the order table asks for."""
        table.parent(slot)
        register_parent(&self.risk, slot, &table.table.parents[slot].order, now_ns)

    def count_cancel(self, uint32_t strategy, int64_t now_ns):
        """A cancel goes out: it takes a token of everything and of its strategy, there or not."""
        risk_rates.count_message(&self.risk, strategy, now_ns)

    def check(self, OrderTable table, uint32_t slot, int64_t now_ns):
        """Judge the order in that slot: DecisionView(code, limit, actual)."""
        cdef Approved approved
        cdef Decision decision
        memset(&approved, 0, sizeof(approved))
        table.order(slot)
        check(&self.risk, &table.table.orders[slot], now_ns, &approved, &decision)
        return DecisionView(<Reason>decision.code, decision.limit, decision.actual)

    def observe(self, OrderTable table, uint32_t slot, int64_t now_ns=0):
        """Take in what is known of the order in that slot now."""
        table.order(slot)
        observe(&self.risk, &table.table.orders[slot], now_ns)

    def release(self, OrderTable table, uint32_t slot):
        """Take back the approval of an order that never left."""
        table.order(slot)
        release(&self.risk, &table.table.orders[slot])

    def exposure(self, uint32_t instrument):
        """ExposureView of an instrument, in its scale."""
        if instrument >= self.risk.instrument_count:
            raise IndexError(f"instrument {instrument} is not in the table of {self.risk.instrument_count}")
        cdef const Exposure *exposure = &self.risk.exposures[instrument]
        return ExposureView(exposure.net, exposure.open_buys, exposure.open_sells, exposure.maximum_position,
                            exposure.reference_price, exposure.reference_ns)

    def committed(self, uint32_t parent):
        """Quantity of the parent in that slot that is filled or may still be, instrument scale."""
        if parent >= self.risk.parent_capacity:
            raise IndexError(f"parent slot {parent} is not in the table of {self.risk.parent_capacity}")
        return self.risk.commitments[parent].committed

    @property
    def counts(self):
        """{"approved", "refused", "strangers"}: orders judged, and orders seen that were not."""
        return {"approved": self.risk.approved, "refused": self.risk.refused, "strangers": self.risk.strangers}

    def money(self, str what, uint32_t index=0, uint32_t currency=0):
        """MoneyView of everything ("total"), an "exchange" or a "strategy" in one currency: integers of
        `money_decimals`."""
        cdef const Money *money = self._money(what, index, currency)
        return MoneyView(money.used, money.maximum_used, risk_money.profit(money), money.peak, money.maximum_loss,
                         money.maximum_drawdown, <Reason>money.tripped)

    def money_decimals_of(self, uint32_t instrument):
        """Decimals of amounts in the currency that an instrument is priced in."""
        self._check_index("instrument", instrument, self.risk.instrument_count)
        return self.money_decimals[self.risk.exposures[instrument].currency]

    def strategy(self, uint32_t strategy):
        """StrategyView(state, reason) of a strategy; a reason other than OK says why it is not ACTIVE."""
        self._check_index("strategy", strategy, self.risk.strategy_count)
        return StrategyView(<TradingState>self.risk.strategies[strategy].state,
                            <Reason>self.risk.strategies[strategy].reason)

    def set_strategy_state(self, uint32_t strategy, int state):
        """TradingState of a strategy; ACTIVE arms it again."""
        self._check_index("strategy", strategy, self.risk.strategy_count)
        set_strategy(&self.risk, strategy, <uint8_t>state)

    def set_exchange_state(self, uint32_t exchange, int state):
        """TradingState of an exchange: REDUCING or ACTIVE."""
        self._check_index("exchange", exchange, self.risk.exchange_count)
        set_exchange(&self.risk, exchange, <uint8_t>state)

    def exchange_state(self, uint32_t exchange):
        """TradingState of an exchange, as risk has it."""
        self._check_index("exchange", exchange, self.risk.exchange_count)
        return TradingState.REDUCING if self.risk.reducing >> exchange & 1 else TradingState.ACTIVE

    def difference(self, uint32_t instrument):
        """DecisionView(code, limit, actual) of what an exchange's books of an instrument and ours differ in: what was
        expected and what was found, amounts in 1e-18; code OK = they do not."""
        self._check_index("instrument", instrument, self.risk.instrument_count)
        cdef const Exposure *exposure = &self.risk.exposures[instrument]
        return DecisionView(<Reason>exposure.differs, exposure.expected, exposure.found)

    def begin_day(self):
        """Count every profit anew; what has tripped stays so."""
        begin_day(&self.risk)

    def rearm_total(self):
        """Begin to count the profit of everything anew."""
        rearm_total(&self.risk)

    def refusal(self, uint32_t parent):
        """RefusalView of the last child of the parent in that slot that was refused; code OK = there was none."""
        self._check_index("parent slot", parent, self.risk.parent_capacity)
        cdef const Refusal *last = &self.risk.refusals[parent]
        return RefusalView(<Reason>last.code, last.limit, last.actual, last.now_ns, last.count, last.listing)


cdef int set_bucket(TokenBucket *bucket, messages) except -1:
    rate, period_ns = messages
    if rate < 0 or period_ns <= 0 or rate > period_ns:
        raise ValueError(f"messages: {rate} in {period_ns} ns; the rate must not be negative, nor above one a ns")
    bucket.rate, bucket.period_ns = rate, period_ns
    bucket.credit_ns = period_ns
    return 0


cdef int set_throttle(Throttle *throttle, limit) except -1:
    most, window_ns = limit
    if not 0 <= most <= MOST_EVENTS or window_ns < 0:
        raise ValueError(f"{most} events in {window_ns} ns: expected 0 to {MOST_EVENTS}, and a window")
    free(throttle.times_ns)
    throttle.times_ns = <int64_t *>zeroed(max(1, most), sizeof(int64_t))
    throttle.most, throttle.window_ns, throttle.next = most, window_ns, 0
    risk_rates.forget(throttle)
    return 0

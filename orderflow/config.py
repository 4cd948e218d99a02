"""Settings of an engine: TOML in, validated and frozen objects out. Every message names the key that is wrong."""
from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from orderflow.complaints import complaint, culprit
from orderflow.exchanges import SESSIONS
from orderflow.instrument import decimal, time_of_day_ns
from orderflow.redaction import redacted

#: A dead-man switch fires no sooner.
SHORTEST_DEAD_MAN_S = 5
#: An engine that says nothing for less than this is not frozen: a busy machine stops it for as long.
SHORTEST_SILENCE_S = 2
#: Accounts are not compared more often.
SHORTEST_RECONCILE_S = 1.0
#: Connections are not renewed more often.
SHORTEST_LIFE_S = 60.0
#: Strategies that can be named in a configuration without a module.
BUILT_IN = ("dislocation",)
#: A listing has room for so many fee tiers (_core/charges.pxd).
MOST_TIERS = 4
#: The strategizer has room for so many.
MOST_STRATEGIES = 15
#: Numbers of money are written as strings or integers: a TOML float is not exact.
Number = str | int
#: Of a time-out.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=120)]
#: Of a way: both together are shorter than the router's patience for an answer.
PaperSeconds = Annotated[float, msgspec.Meta(ge=0, le=2)]
#: Of which zero means never, or for ever.
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=65_536)]
#: By currency.
Amounts = dict[str, Number]
NAME = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class ConfigError(ValueError):
    """A configuration that cannot be used; one line that names the key."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all settings: unknown keys are errors."""


class FeeTier(Struct, frozen=True):
    """From how much on, in the base currency, a whole order pays which taker fee, a fraction of the notional."""

    quantity: Number
    taker_fee: Number


class ExchangeSettings(Struct, frozen=True):
    """One exchange.

    Attributes
    ----------
    protocol : str
        What it speaks: a name of `exchanges.SESSIONS`.
    symbols : tuple of str
        In the exchange's own spelling.
    rest, stream, orders : str
        Base URLs; empty = production. `orders` is the whole address of the connection that takes them.
    ca_file : str
        PEM file of the only authorities to trust; empty = the system's.
    maker_fee, taker_fee : str or int
        Fractions of the notional ("0.001" = 10 bps).
    tickets : dict of str -> str or int
        By quote currency: what every order that is sent costs, however large it is.
    fee_tiers : dict of str -> list of FeeTier
        By instrument: lower taker fees of one large order, by rising quantity.
    depth : int
        Levels a side, where the exchange offers a choice; 0 = the session's default.
    trade : bool
        Open the order connection.
    credentials : str
        TOML file with a table of the exchange's name: key, secret, passphrase; ours alone, mode 0600. Empty = that of
        the engine. The environment and the keyring come first.
    account_is_exclusive : bool
        Nobody else trades on this account, no other program and no person: only then does a kill use the exchange's
        mass cancel, and only then is its dead-man switch set, because both cancel orders that are not ours too.
    dead_man_seconds : int
        After so long without us the exchange cancels everything, where it offers that (Kraken) and the account is
        exclusive; set back at a third of it. 0 = not used.
    orders_per_10_seconds : int
        New orders, replacements and cancels that leave at most, besides what the exchange allows, which is kept in any
        case; a fifth is for cancels, and no cancel waits for it. 0 = what the exchange allows.
    tier : "starter", "intermediate" or "pro"
        Kraken: the account's verification level, by which its orders are limited; empty = starter.
    silence_seconds : float
        How long the exchange may say nothing about a book before it is STALE and subscribed anew; pings do not count.
        An instrument that trades seldom needs more; 0 = for ever.
    login_seconds : float
        How long it may take from an open order connection to one that takes orders, before it is opened again.
    subscribe_seconds : float
        How long a subscription may wait for its acknowledgement before it is asked for again; each time twice as long.
    maximum_clock_offset_seconds : float
        How far its clock may be from this machine's: beyond it orders there may only reduce. Orders are signed with its
        time, however far that is. 0 = any.
    reconcile_seconds : float, optional
        How often open orders, balances and trades of the account are compared with ours, besides after every connect. 0
        = not besides; by default as often as a third of the REST calls that the exchange allows permits, and at most
        every ten seconds.
    unexplained_balances : "halt" or "accept"
        What a balance does that fills do not explain, as after a deposit: halt the instruments of that asset until they
        are armed again by hand, or be told and taken for right.
    lines : int
        2 = take all market data twice, over connections of their own: what arrives first counts, and while one is away
        the other's books are read.
    reconnect_after_seconds : float, optional
        When a market data connection is replaced; the new one's books are in step before the old one is closed. 0 =
        never; by default shortly before the exchange would end it, where its document says so (Binance: 24 hours).
    paper_order_seconds, paper_report_seconds : float
        With `run --paper`: until the market data that we receive tells of the book that an order met, and from then to
        its report.
    """

    protocol: str
    symbols: tuple[str, ...]
    rest: str = ""
    stream: str = ""
    orders: str = ""
    ca_file: str = ""
    maker_fee: Number = "0"
    taker_fee: Number = "0"
    tickets: Amounts = {}
    fee_tiers: dict[str, tuple[FeeTier, ...]] = {}
    depth: Annotated[int, msgspec.Meta(ge=0)] = 0
    trade: bool = False
    credentials: str = ""
    account_is_exclusive: bool = False
    dead_man_seconds: Annotated[int, msgspec.Meta(ge=0, le=86400)] = 60
    orders_per_10_seconds: Annotated[int, msgspec.Meta(ge=0)] = 0
    tier: Literal["", "starter", "intermediate", "pro"] = ""
    silence_seconds: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    login_seconds: Seconds = 10.0
    subscribe_seconds: Seconds = 10.0
    maximum_clock_offset_seconds: NotNegative = 2.0
    reconcile_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] | None = None
    unexplained_balances: Literal["halt", "accept"] = "halt"
    lines: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1
    reconnect_after_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    paper_order_seconds: PaperSeconds = 0.02
    paper_report_seconds: PaperSeconds = 0.02


class EngineSettings(Struct, frozen=True):
    """How the native loops run.

    Attributes
    ----------
    server : "sync" or "async"
    layout : "split" or "fused"
        A native thread for each loop, or all loops in one.
    wait : "spin" or "park"
        What an idle thread does.
    cpus : dict of str -> int
        Processor of each thread by its name: an exchange's name, "router", "strategizer"; "fused" in that layout.
    touch_books : bool
        Have the memory of every book resident from the start, 4 MiB each, so that no update waits for a page.
    allow_gil_transport : bool
        Accept connections whose reads need the GIL.
    connect_timeout : float
        Seconds from the name of a host to an open socket; resolving counts.
    tls_timeout, upgrade_timeout : float
        Seconds for the TLS handshake, and for the answer that makes a connection a websocket.
    rest_timeout : float
        Seconds for each of connecting, writing and reading of a REST call.
    start_timeout : float
        Seconds until every exchange must be ready; `run` then goes on with those that are.
    standstill_seconds : float
        After so long a native thread whose heartbeat stands still is stuck: its exchange is killed. 0 = never.
    watchdog_seconds : float
        After so long without a sign of life the watchdog process takes the engine for frozen and cancels what it has
        out; at once when the engine dies. It runs where an exchange trades. 0 = none.
    directory : str
        Of the journal; needed where an exchange trades, because client order ids must never repeat.
    scores : str
        File of `orderflow tca DIR --scores FILE`, from the configuration's folder: what the router begins with.
    journal : "crash", "group" or "sync"
        What an order survives: the death of the process; soon after it was sent that of the machine; or that of the
        machine before it is sent, which takes as long as the disk does.
    credentials : str
        File of the credentials of all exchanges that name none of their own.
    keyring : bool
        Look for credentials in the keyring of the operating system too, after the environment.
    """

    server: Literal["sync", "async"] = "sync"
    layout: Literal["split", "fused"] = "split"
    wait: Literal["spin", "park"] = "park"
    cpus: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    touch_books: bool = False
    allow_gil_transport: bool = False
    connect_timeout: Seconds = 10.0
    tls_timeout: Seconds = 10.0
    upgrade_timeout: Seconds = 10.0
    rest_timeout: Seconds = 10.0
    start_timeout: Seconds = 30.0
    standstill_seconds: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    watchdog_seconds: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    directory: str = ""
    scores: str = ""
    journal: Literal["crash", "group", "sync"] = "crash"
    credentials: str = ""
    keyring: bool = False


class LimitSettings(Struct, frozen=True):
    """What risk allows for one instrument.

    Attributes
    ----------
    maximum_position : str or int
        Long or short, everything open filled, in the base currency.
    maximum_order_quantity : str or int
    maximum_order_notional : str or int
        In the quote currency.
    collar : str or int
        How far beyond the reference price an order may be priced, as a fraction.
    reference_age_seconds : float
        How old the reference price may be.
    drift_collar : str or int
        How far beyond the reference price of `drift_seconds` ago, as a fraction.
    drift_seconds : float
        0 = not checked.
    feed_age_seconds : float
        How long ago a book may have heard of its exchange; 0 = for ever.
    """

    maximum_position: Number
    maximum_order_quantity: Number
    maximum_order_notional: Number
    collar: Number = "0.02"
    reference_age_seconds: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    drift_collar: Number = "0.05"
    drift_seconds: NotNegative = 60.0
    feed_age_seconds: NotNegative = 10.0


class ExchangeLimitSettings(Struct, frozen=True):
    """What risk allows on one exchange: amounts by currency; one that is not named is not limited.

    Attributes
    ----------
    maximum_capital : dict of str -> str or int
        Worth of all positions, long or short, if everything open were filled.
    maximum_order_notional : dict of str -> str or int
        Of one order.
    """

    maximum_capital: Amounts = {}
    maximum_order_notional: Amounts = {}


class StrategyLimitSettings(Struct, frozen=True):
    """What risk allows one strategy: amounts by currency; one that is not named is not limited.

    Attributes
    ----------
    maximum_capital, maximum_order_notional : dict of str -> str or int
        As of an exchange.
    maximum_loss, maximum_drawdown : dict of str -> str or int
        From the start of the day, and from its peak, realised and unrealised; then it may only reduce until it is armed
        again.
    loss_seconds : float
        How long that must stand at fresh prices before it stays.
    messages_per_10_seconds : int
        New orders and cancels; a fifth is kept for cancels. 0 = not limited.
    repeat_seconds : float
        How long an equal parent order after another is taken for a mistake; 0 = never.
    maximum_fills, fill_seconds
        More orders filled within so long halt the strategy until it is armed again; 0 = never.
    maximum_rejects, reject_seconds
        The same for orders that an exchange rejected.
    """

    maximum_capital: Amounts = {}
    maximum_order_notional: Amounts = {}
    maximum_loss: Amounts = {}
    maximum_drawdown: Amounts = {}
    loss_seconds: NotNegative = 1.0
    messages_per_10_seconds: Count = 250
    repeat_seconds: NotNegative = 1.0
    maximum_fills: Count = 50
    fill_seconds: NotNegative = 1.0
    maximum_rejects: Count = 10
    reject_seconds: NotNegative = 10.0


class TotalLimitSettings(Struct, frozen=True):
    """What risk allows in total: amounts by currency.

    Attributes
    ----------
    maximum_capital, maximum_loss : dict of str -> str or int
        As of a strategy; where an exchange trades, one for every currency that instruments with limits are priced in.
    maximum_drawdown, loss_seconds, messages_per_10_seconds
        As of a strategy.
    day_begins : str
        When profit, of everything and of every strategy, is counted anew: a time of day in UTC; "" = never. What has
        tripped stays so.
    """

    maximum_capital: Amounts = {}
    maximum_loss: Amounts = {}
    maximum_drawdown: Amounts = {}
    loss_seconds: NotNegative = 1.0
    messages_per_10_seconds: Count = 500
    day_begins: str = "00:00"


class DislocationParameters(Struct, frozen=True):
    """Of the built-in strategy "dislocation": buy where it is cheap and sell where it is dear.

    Attributes
    ----------
    instrument : str
        As in `limits`.
    maximum_quantity : str or int
        Of one trade, in the base currency.
    edge : str or int
        What must be left after all fees, as a fraction.
    leg_seconds : float
        How long either side of a trade may work, and each attempt to close one that was filled alone.
    band, unwind_band : str or int
        How much worse than the price of the missing side it may be closed at, as fractions: first, and in the end.
    attempts : int
        With each of the two; then the strategy is killed.
    """

    instrument: str
    maximum_quantity: Number
    edge: Number = "0.0001"
    leg_seconds: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    band: Number = "0.002"
    unwind_band: Number = "0.01"
    attempts: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3


class StrategySettings(Struct, frozen=True):
    """One strategy, under a name of your own.

    Attributes
    ----------
    use : str
        "dislocation", or "module:Class": a class with on_signal, on_report or on_timer.
    parameters : dict
        Keyword arguments of the class; of "dislocation" see DislocationParameters.
    """

    use: str
    parameters: dict[str, Any] = {}


class InstrumentSettings(Struct, frozen=True):
    """What belongs to an instrument besides what exchanges call so; its name says the currency of its prices.

    Attributes
    ----------
    symbols : dict of str -> list of str
        By exchange: of its symbols those that are this instrument too, under another name or in another quote currency.
    convert : dict of str -> str
        By such a quote currency: the instrument whose live book gives its rate, as { USDT = "USDT-USD" }. Either way
        round, and traded by one of the exchanges.
    """

    symbols: dict[NAME, tuple[str, ...]] = {}
    convert: dict[str, str] = {}


class Settings(Struct, frozen=True):
    """Everything that one run needs."""

    engine: EngineSettings = EngineSettings()
    exchanges: dict[NAME, ExchangeSettings] = {}
    instruments: dict[str, InstrumentSettings] = {}
    limits: dict[str, LimitSettings] = {}
    exchange_limits: dict[NAME, ExchangeLimitSettings] = {}
    strategy_limits: dict[NAME, StrategyLimitSettings] = {}
    total_limits: TotalLimitSettings = TotalLimitSettings()
    strategies: dict[NAME, StrategySettings] = {}


def load(path: str | os.PathLike) -> Settings:
    """Settings of a TOML file.

    Raises
    ------
    ConfigError
        The file cannot be read, is not TOML, or a key is wrong; the message names file and key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: not UTF-8 text") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    try:
        return parse(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(document: dict) -> Settings:
    """Settings of a parsed document; ConfigError names the key."""
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        message = complaint(error, Settings)
        for table, entries in (("exchanges", dict[NAME, ExchangeSettings]),
                               ("instruments", dict[str, InstrumentSettings]), ("limits", dict[str, LimitSettings]),
                               ("exchange_limits", dict[NAME, ExchangeLimitSettings]),
                               ("strategy_limits", dict[NAME, StrategyLimitSettings]),
                               ("strategies", dict[NAME, StrategySettings])):
            message = message.replace(f"{table}.*", f"{table}.{culprit(document, table, entries)}")
        raise ConfigError(message) from None
    return check(settings)


def check(settings: Settings) -> Settings:
    """What types cannot say; ConfigError names the key."""
    if not settings.exchanges:
        raise ConfigError("exchanges: name at least one, as [exchanges.NAME]")
    for name, exchange in settings.exchanges.items():
        key = f"exchanges.{name}"
        if exchange.protocol not in SESSIONS:
            raise ConfigError(f"{key}.protocol: {exchange.protocol!r} is not one of {', '.join(SESSIONS)}")
        if not exchange.symbols:
            raise ConfigError(f"{key}.symbols: name at least one")
        if len(set(exchange.symbols)) != len(exchange.symbols):
            raise ConfigError(f"{key}.symbols: a symbol is named twice")
        for field in ("maker_fee", "taker_fee"):
            try:
                fee = decimal(getattr(exchange, field), f"{key}.{field}")
            except ValueError as error:
                raise ConfigError(str(error)) from None
            if not -1 < fee < 1:
                raise ConfigError(f"{key}.{field}: {fee} is a fraction of the notional, so between -1 and 1")
        _check_charges(key, exchange)
        if exchange.reconcile_seconds and exchange.reconcile_seconds < SHORTEST_RECONCILE_S:
            raise ConfigError(f"{key}.reconcile_seconds: {exchange.reconcile_seconds:g} is too often for what "
                              f"exchanges allow; at least {SHORTEST_RECONCILE_S:g}, or 0 for only after a connect")
        _check_renewal(f"{key}.reconnect_after_seconds", exchange.reconnect_after_seconds)
        if 0 < exchange.dead_man_seconds < SHORTEST_DEAD_MAN_S:
            raise ConfigError(f"{key}.dead_man_seconds: {exchange.dead_man_seconds} is too short for a connection that "
                              f"is lost and made again; at least {SHORTEST_DEAD_MAN_S}, or 0 for none")
        if exchange.ca_file and not Path(exchange.ca_file).is_file():
            raise ConfigError(f"{key}.ca_file: {exchange.ca_file} is not a file")
        for field in ("rest", "stream", "orders"):
            schemes = ("http", "https") if field == "rest" else ("ws", "wss")
            _check_url(f"{key}.{field}", getattr(exchange, field), schemes)
    if 0 < settings.engine.watchdog_seconds < SHORTEST_SILENCE_S:
        raise ConfigError(f"engine.watchdog_seconds: {settings.engine.watchdog_seconds:g} is too short; at least "
                          f"{SHORTEST_SILENCE_S}, or 0 for none")
    _check_threads(settings)
    _check_instruments(settings)
    _check_trading(settings)
    _check_strategies(settings)
    return settings


def _check_charges(key: str, exchange: ExchangeSettings) -> None:
    """Tickets are amounts, and tiers stand by rising quantity and falling fee."""
    try:
        for currency, amount in exchange.tickets.items():
            if decimal(amount, f"{key}.tickets.{currency}") < 0:
                raise ConfigError(f"{key}.tickets.{currency}: {amount} should be 0 or more")
        for instrument, tiers in exchange.fee_tiers.items():
            where = f'{key}.fee_tiers."{instrument}"'
            if len(tiers) > MOST_TIERS:
                raise ConfigError(f"{where}: {len(tiers)} tiers, at most {MOST_TIERS} are possible")
            least, dearest = Decimal(0), decimal(exchange.taker_fee, f"{key}.taker_fee")
            for i, tier in enumerate(tiers):
                quantity = decimal(tier.quantity, f"{where}[{i}].quantity")
                fee = decimal(tier.taker_fee, f"{where}[{i}].taker_fee")
                if quantity <= least:
                    raise ConfigError(f"{where}[{i}].quantity: {quantity} should be above {least}")
                if not -1 < fee < dearest:
                    raise ConfigError(f"{where}[{i}].taker_fee: {fee} should be below {dearest}, and above -1")
                least, dearest = quantity, fee
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _check_instruments(settings: Settings) -> None:
    """Exchanges and symbols that there are; what a symbol stands for only its exchange knows (joining.py)."""
    owners: dict[tuple[str, str], str] = {}
    for name, one in settings.instruments.items():
        key = f'instruments."{name}"'
        if "-" not in name:
            raise ConfigError(f"{key}: the name says in which currency its prices are, as BTC-USD does")
        for exchange, symbols in one.symbols.items():
            if exchange not in settings.exchanges:
                raise ConfigError(f"{key}.symbols.{exchange}: there is no such exchange; there are "
                                  f"{', '.join(settings.exchanges)}")
            for symbol in symbols:
                if symbol not in settings.exchanges[exchange].symbols:
                    raise ConfigError(f"{key}.symbols.{exchange}: {symbol!r} is not traded there; add it to "
                                      f"exchanges.{exchange}.symbols")
                if owners.setdefault((exchange, symbol), name) != name:
                    raise ConfigError(f"{key}.symbols.{exchange}: {symbol!r} is part of "
                                      f'instruments."{owners[exchange, symbol]}" already')
        for currency, rate in one.convert.items():
            if rate == name:
                raise ConfigError(f"{key}.convert.{currency}: an instrument gives itself no rate")
            if sorted(rate.split("-")[:2]) != sorted((currency, name.split("-")[1])):
                raise ConfigError(f"{key}.convert.{currency}: {rate!r} says nothing of {currency} in "
                                  f"{name.split('-')[1]}; name {currency}-{name.split('-')[1]}, or the other way round")


def _check_trading(settings: Settings) -> None:
    for instrument, limits in settings.limits.items():
        for field in ("maximum_position", "maximum_order_quantity", "maximum_order_notional", "collar", "drift_collar"):
            key = f'limits."{instrument}".{field}'
            try:
                value = decimal(getattr(limits, field), key)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            fraction = field.endswith("collar")
            if value <= 0 or (fraction and value >= 1):
                raise ConfigError(f"{key}: {value} should be positive" + (" and below 1" if fraction else ""))
    _check_money(settings)
    trading = [name for name, exchange in settings.exchanges.items() if exchange.trade]
    if trading and not settings.engine.directory:
        raise ConfigError(f"engine.directory: name one, {trading[0]} trades and client order ids must never repeat")
    if trading and not settings.limits:
        raise ConfigError(f'limits: {trading[0]} trades; name what it may, as [limits."BTC-USDT"]')
    if len({exchange.ca_file for exchange in settings.exchanges.values()}) > 1:
        raise ConfigError("exchanges.*.ca_file: the same for all, one server trusts one set of authorities")


def _check_money(settings: Settings) -> None:
    """Limits of exchanges and strategies that there are, and amounts of money that are some."""
    tables: list[tuple[str, ExchangeLimitSettings | StrategyLimitSettings | TotalLimitSettings]] = [
        ("total_limits", settings.total_limits)]
    for table, named, known in (("exchange_limits", settings.exchange_limits, settings.exchanges),
                                ("strategy_limits", settings.strategy_limits, settings.strategies)):
        for name, limits in named.items():
            if name not in known:
                raise ConfigError(f"{table}.{name}: there is no such {table.split('_')[0]}; there are "
                                  f"{', '.join(known) or 'none'}")
            tables.append((f"{table}.{name}", limits))
    for prefix, chosen in tables:
        for field in ("maximum_capital", "maximum_order_notional", "maximum_loss", "maximum_drawdown"):
            for currency, amount in getattr(chosen, field, {}).items():
                key = f"{prefix}.{field}.{currency}"
                try:
                    value = decimal(amount, key)
                except ValueError as error:
                    raise ConfigError(str(error)) from None
                if value <= 0:
                    raise ConfigError(f"{key}: {value} should be positive")
    try:
        time_of_day_ns(settings.total_limits.day_begins, "total_limits.day_begins")
    except ValueError as error:
        raise ConfigError(str(error)) from None


def check_required_limits(settings: Settings) -> None:
    """Whether live trading may start: what must be limited by whoever owns the money has no default. ConfigError names
    the key of what is missing."""
    if not any(exchange.trade for exchange in settings.exchanges.values()):
        return
    for instrument in settings.limits:
        currency = instrument.split("-")[1] if "-" in instrument else instrument
        for field, what in (("maximum_capital", "how much may be used"), ("maximum_loss", "how much may be lost")):
            if currency not in getattr(settings.total_limits, field):
                raise ConfigError(f"total_limits.{field}.{currency}: missing; {instrument} trades, say {what} in "
                                  f'total, as [total_limits] {field} = {{ {currency} = "1000" }}')


def _check_strategies(settings: Settings) -> None:
    if len(settings.strategies) > MOST_STRATEGIES:
        raise ConfigError(f"strategies: {len(settings.strategies)}, at most {MOST_STRATEGIES} are possible")
    for name, strategy in settings.strategies.items():
        if not any(exchange.trade for exchange in settings.exchanges.values()):
            raise ConfigError(f"strategies.{name}: no exchange trades; set exchanges.NAME.trade = true")
        module, _, attribute = strategy.use.partition(":")
        if strategy.use not in BUILT_IN and not (attribute and all(map(str.isidentifier, module.split(".")))):
            raise ConfigError(f"strategies.{name}.use: {strategy.use!r} is neither {', '.join(BUILT_IN)} "
                              'nor "module:Class"')
        if strategy.use == "dislocation":
            _check_dislocation(f"strategies.{name}.parameters", strategy, settings)


def _check_dislocation(key: str, strategy: StrategySettings, settings: Settings) -> None:
    parameters = dislocation(key, strategy)
    for field, most in (("maximum_quantity", None), ("edge", 1)):
        try:
            value = decimal(getattr(parameters, field), f"{key}.{field}")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if value < 0 or (most is None and value == 0) or (most is not None and value >= most):
            raise ConfigError(f"{key}.{field}: {value} should be " + ("positive" if most is None else
                                                                      f"0 or more and below {most}"))
    if parameters.instrument in settings.instruments and settings.instruments[parameters.instrument].convert:
        raise ConfigError(f"{key}.instrument: {parameters.instrument} is joined over quote currencies, which "
                          "dislocation does not convert; name one that is not")
    if parameters.instrument not in settings.limits:
        raise ConfigError(f"{key}.instrument: {parameters.instrument!r} has no limits; there are "
                          f"{', '.join(settings.limits)}")


def dislocation(key: str, strategy: StrategySettings) -> DislocationParameters:
    """The parameters of that strategy; ConfigError names the key below `key`."""
    try:
        return msgspec.convert(strategy.parameters, DislocationParameters)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key}.{complaint(error, DislocationParameters)}") from None


def _check_renewal(key: str, seconds: float | None) -> None:
    """A connection needs some time until its books are in step, and exchanges count how often one connects."""
    if seconds and seconds < SHORTEST_LIFE_S:
        raise ConfigError(f"{key}: {seconds:g} is too often; at least {SHORTEST_LIFE_S:g}, or 0 for never")


def _check_url(key: str, url: str, schemes: tuple[str, str]) -> None:
    if not url:
        return
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest:
        raise ConfigError(f"{key}: {redacted(url)!r} should begin with {schemes[1]}://")
    if "@" in rest.split("/")[0]:
        raise ConfigError(f"{key}: a user or password in an address ends up in logs; see `credentials`")
    host = rest.split("/")[0].rsplit(":", 1)[0]
    if scheme == schemes[0] and host not in ("127.0.0.1", "localhost", "[::1]"):
        raise ConfigError(f"{key}: {scheme}:// is not encrypted and reaches loopback only; use {schemes[1]}://")


def _check_threads(settings: Settings) -> None:
    engine = settings.engine
    names = {"fused"} if engine.layout == "fused" else {*settings.exchanges, "router", "strategizer"}
    for name in engine.cpus:
        if name not in names:
            raise ConfigError(f"engine.cpus.{name}: no such thread; there are {', '.join(sorted(names))}")
    allowed = os.sched_getaffinity(0)
    for name, cpu in engine.cpus.items():
        if cpu not in allowed:
            raise ConfigError(f"engine.cpus.{name}: processor {cpu} is not one of {sorted(allowed)}")
    threads = 1 if engine.layout == "fused" else len(settings.exchanges) + 2
    if engine.wait == "spin" and threads > len(allowed):
        raise ConfigError(f"engine.wait: {threads} spinning threads on {len(allowed)} processors would stand in each "
                          "other's way; use wait = \"park\" or layout = \"fused\"")

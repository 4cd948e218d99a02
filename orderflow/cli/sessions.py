"""The session of a configured exchange, with its credentials where there are any."""
from __future__ import annotations

from typing import TYPE_CHECKING

from orderflow.cli.application import BadUsage

if TYPE_CHECKING:
    from orderflow.config import EngineSettings, ExchangeSettings
    from orderflow.credentials import Credentials
    from orderflow.exchanges.session import Session


def credentials_of(name: str, exchange: ExchangeSettings, engine: EngineSettings | None,
                   trade: bool) -> Credentials | None:
    """Credentials from the first place that has any: see `orderflow.credentials`.

    Market data needs none; where there are some, some exchanges send more of it (Coinbase Exchange: every change of a
    book at once). BadUsage where there are none and it is to trade.
    """
    from orderflow.credentials import find, variable

    found = find(name, exchange.credentials or (engine.credentials if engine else ""), bool(engine and engine.keyring))
    if found is None and trade:
        raise BadUsage(f"exchanges.{name}.trade: no credentials; set {variable(name, 'key')} and "
                       f"{variable(name, 'secret')}, or name a file in exchanges.{name}.credentials")
    return found


def session_of(name: str, exchange: ExchangeSettings, trade: bool, renewed: bool = True,
               engine: EngineSettings | None = None, paper: bool = False) -> Session:
    """The session of one exchange of a configuration.

    Parameters
    ----------
    name : str
    exchange : ExchangeSettings
    trade : bool
        Whether it may open its order connection.
    renewed : bool
        Whether a connection may be replaced before the exchange ends it.
    engine : EngineSettings, optional
        Where credentials may come from besides the environment and the exchange's own file.
    paper : bool
        Trade on paper, where it is to trade: no order connection, and no credentials are looked for.
    """
    from orderflow.exchanges import session_for
    from orderflow.exchanges.paper import PaperSettings
    from orderflow.exchanges.session import SessionSettings

    return session_for(exchange.protocol, SessionSettings(
        name, exchange.rest, exchange.stream, exchange.orders, exchange.symbols, exchange.depth,
        trade=trade and not paper, credentials=None if paper else credentials_of(name, exchange, engine, trade),
        paper=PaperSettings(int(exchange.paper_order_seconds * 1e9), int(exchange.paper_report_seconds * 1e9))
        if paper and trade else None, account_is_exclusive=exchange.account_is_exclusive,
        dead_man_ns=exchange.dead_man_seconds * 10**9, order_rate=(exchange.orders_per_10_seconds, 10_000_000_000),
        tier=exchange.tier,
        silence_ns=int(exchange.silence_seconds * 1e9), login_ns=int(exchange.login_seconds * 1e9),
        subscribe_ns=int(exchange.subscribe_seconds * 1e9),
        maximum_clock_offset_ns=int(exchange.maximum_clock_offset_seconds * 1e9), lines=exchange.lines,
        reconcile_ns=None if exchange.reconcile_seconds is None else int(exchange.reconcile_seconds * 1e9),
        accept_unexplained=exchange.unexplained_balances == "accept",
        renew_after_ns=_renew_after_ns(exchange) if renewed else 0))


def _renew_after_ns(exchange: ExchangeSettings) -> int | None:
    seconds = exchange.reconnect_after_seconds
    return None if seconds is None else int(seconds * 1e9)

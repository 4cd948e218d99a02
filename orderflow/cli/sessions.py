"""The session of a configured exchange, with the keys that the environment has for it."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orderflow.cli.application import BadUsage

if TYPE_CHECKING:
    from orderflow.config import ExchangeSettings
    from orderflow.exchanges.session import Credentials, Session


def credentials_of(name: str, trade: bool) -> Credentials | None:
    """Key, secret and, where there is one, passphrase from ORDERFLOW_NAME_KEY, _SECRET and _PASSPHRASE.

    Market data needs none; where they are given, some exchanges send more of it (Coinbase Exchange: every change of a
    book at once). BadUsage, which names the variable, for one that is missing.
    """
    from orderflow.exchanges.session import Credentials

    key, secret, passphrase = (os.environ.get(f"ORDERFLOW_{name.upper()}_{part}", "")
                               for part in ("KEY", "SECRET", "PASSPHRASE"))
    if not key and not secret and not trade:
        return None
    for part, value in (("KEY", key), ("SECRET", secret)):
        if not value:
            why = f"exchanges.{name}.trade" if trade else f"exchanges.{name}"
            raise BadUsage(f"{why}: the environment has no ORDERFLOW_{name.upper()}_{part}")
    return Credentials(key, secret, passphrase)


def session_of(name: str, exchange: ExchangeSettings, trade: bool, renewed: bool = True) -> Session:
    """The session of one exchange of a configuration.

    Parameters
    ----------
    name : str
    exchange : ExchangeSettings
    trade : bool
        Whether it may open its order connection.
    renewed : bool
        Whether a connection may be replaced before the exchange ends it.
    """
    from orderflow.exchanges import session_for
    from orderflow.exchanges.session import SessionSettings

    return session_for(exchange.protocol, SessionSettings(
        name, exchange.rest, exchange.stream, exchange.orders, exchange.symbols, exchange.depth, trade=trade,
        credentials=credentials_of(name, trade), account_is_exclusive=exchange.account_is_exclusive,
        dead_man_ns=exchange.dead_man_seconds * 10**9, order_rate=(exchange.orders_per_10_seconds, 10_000_000_000),
        silence_ns=int(exchange.silence_seconds * 1e9), login_ns=int(exchange.login_seconds * 1e9),
        subscribe_ns=int(exchange.subscribe_seconds * 1e9), lines=exchange.lines,
        renew_after_ns=_renew_after_ns(exchange) if renewed else 0))


def _renew_after_ns(exchange: ExchangeSettings) -> int | None:
    seconds = exchange.reconnect_after_seconds
    return None if seconds is None else int(seconds * 1e9)

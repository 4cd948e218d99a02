"""Exchanges, by the name of the protocol that they speak: one line each."""
from __future__ import annotations

from collections.abc import Callable

from orderflow.exchanges.binance import BinanceSession
from orderflow.exchanges.bitfinex import BitfinexSession
from orderflow.exchanges.bitmex import BitmexSession
from orderflow.exchanges.bitstamp import BitstampSession
from orderflow.exchanges.bybit_v5 import BybitSession
from orderflow.exchanges.coinbase import CoinbaseSession
from orderflow.exchanges.coinbase_adv import CoinbaseAdvancedSession
from orderflow.exchanges.deribit import DeribitSession
from orderflow.exchanges.gate import GateFuturesSession, GateSpotSession
from orderflow.exchanges.gemini import GeminiSession
from orderflow.exchanges.hyperliquid import HyperliquidSession
from orderflow.exchanges.kraken import KrakenSession
from orderflow.exchanges.kraken_futures import KrakenFuturesSession
from orderflow.exchanges.kucoin import KucoinSession
from orderflow.exchanges.okx import OkxSession
from orderflow.exchanges.session import Session, SessionSettings

SESSIONS: dict[str, Callable[[SessionSettings], Session]] = {
    "binance_spot": lambda settings: BinanceSession(settings, "spot"),
    "binance_usdm": lambda settings: BinanceSession(settings, "usdm"),
    "binance_coinm": lambda settings: BinanceSession(settings, "coinm"),
    "kraken_v2": KrakenSession,
    "kraken_futures": KrakenFuturesSession,
    "okx": OkxSession,
    "bybit_v5": BybitSession,
    "bitfinex": BitfinexSession,
    "bitmex": BitmexSession,
    "coinbase": CoinbaseSession,
    "coinbase_adv": CoinbaseAdvancedSession,
    "deribit": DeribitSession,
    "gemini": GeminiSession,
    "hyperliquid": HyperliquidSession,
    "bitstamp": BitstampSession,
    "kucoin": KucoinSession,
    "gate": GateSpotSession,
    "gate_futures": GateFuturesSession,
}


def session_for(protocol: str, settings: SessionSettings) -> Session:
    """The session that speaks `protocol`.

    Raises
    ------
    ValueError
        For an unknown protocol; the message names those there are.
    """
    if protocol not in SESSIONS:
        raise ValueError(f"protocol {protocol!r}: expected one of {', '.join(SESSIONS)}")
    return SESSIONS[protocol](settings)

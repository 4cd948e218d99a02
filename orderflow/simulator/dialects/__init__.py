"""Protocols that simulated exchanges speak: one module each, found by the protocol's name."""
from importlib import import_module

PROTOCOLS = ("binance_spot", "binance_usdm", "binance_coinm", "kraken_v2", "okx", "bybit_v5", "coinbase",
             "coinbase_adv", "bitfinex", "bitmex", "bitstamp", "deribit", "gate", "gate_futures", "gemini",
             "hyperliquid", "kraken_futures", "kucoin")


def dialect(protocol: str):
    """The class that speaks `protocol`. ValueError names the ones there are."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: {protocol!r} is none of {', '.join(PROTOCOLS)}")
    return import_module(f"{__name__}.{protocol}").DIALECT

"""Binance USD-M futures: market data."""
from orderflow.simulator.dialects.binance import Binance
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text


class BinanceUsdm(Binance):
    """fapi.binance.com and fstream.binance.com, the routed and the older paths."""

    protocol = "binance_usdm"
    answers_at = ("/ws", "/stream", "/public/ws", "/public/stream", "/market/ws", "/market/stream")
    rest_root = "/fapi/v1"
    depth_limits = (5, 10, 20, 50, 100, 500, 1000)
    default_depth = 500
    maximum_depth = 1000
    messages_per_second = 10
    ping_every_ns = 180 * SECOND_NS
    pong_within_ns = 600 * SECOND_NS
    chained = True

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        entry = super().symbol_info(instrument)
        perpetual = "_" not in instrument.symbol or instrument.symbol.endswith("_PERP")
        entry |= {
            "pair": instrument.symbol.partition("_")[0], "marginAsset": instrument.quote,
            "contractType": "PERPETUAL" if perpetual else "CURRENT_QUARTER", "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000, "pricePrecision": instrument.price_decimals,
            "quantityPrecision": instrument.quantity_decimals, "quotePrecision": 8,
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
        entry["filters"].append({"filterType": "MIN_NOTIONAL", "notional": to_text(instrument.minimum_notional, 8)})
        return entry


DIALECT = BinanceUsdm

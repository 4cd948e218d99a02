"""Binance spot."""
from orderflow.simulator.dialects.binance_orders import BinanceOrders
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text


class BinanceSpot(BinanceOrders):
    """api.binance.com and stream.binance.com."""

    protocol = "binance_spot"
    answers_at = ("/ws", "/stream")
    rest_root = "/api/v3"
    depth_limits = ()
    ping_every_ns = 20 * SECOND_NS
    pong_within_ns = 60 * SECOND_NS

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        entry = super().symbol_info(instrument)
        entry |= {
            "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
            "icebergAllowed": False, "ocoAllowed": False, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
            "permissions": [], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": ["NONE"],
        }
        entry["filters"].append({
            "filterType": "NOTIONAL", "minNotional": to_text(instrument.minimum_notional, 8), "applyMinToMarket": True,
            "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5,
        })
        return entry


DIALECT = BinanceSpot

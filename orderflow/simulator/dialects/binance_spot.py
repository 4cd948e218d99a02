"""Binance spot."""
from orderflow.simulator.dialects.binance_entry import BinanceEntry
from orderflow.simulator.dialects.binance_limits import OrderCount
from orderflow.simulator.dialects.binance_order_fields import TYPES
from orderflow.simulator.dialects.binance_orders import MOST_PARTS, BinanceOrders
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import SelfTrade


class BinanceSpot(BinanceOrders):
    """api.binance.com and stream.binance.com."""

    protocol = "binance_spot"
    order_entry = BinanceEntry
    answers_at = ("/ws", "/stream")
    rest_root = "/api/v3"
    depth_limits = ()
    ping_every_ns = 20 * SECOND_NS
    pong_within_ns = 60 * SECOND_NS

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        entry = super().symbol_info(instrument)
        entry |= {
            "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
            "icebergAllowed": True, "ocoAllowed": False, "otoAllowed": False,
            "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": False, "cancelReplaceAllowed": True,
            "amendAllowed": True, "pegInstructionsAllowed": False, "orderTypes": list(TYPES),
            "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
            "permissions": [], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": [mode.value for mode in SelfTrade],
        }
        entry["filters"].append({
            "filterType": "NOTIONAL", "minNotional": to_text(instrument.minimum_notional, 8), "applyMinToMarket": True,
            "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5,
        })
        entry["filters"].append({"filterType": "ICEBERG_PARTS", "limit": MOST_PARTS})
        return entry

    def exchange_info(self) -> dict:
        info = super().exchange_info()
        info["rateLimits"] = [self.weights.row(), *OrderCount(self.order_windows).rows(self.now_ns)]
        for row in info["rateLimits"]:
            del row["count"]
        return info


DIALECT = BinanceSpot

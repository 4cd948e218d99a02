"""Kraken spot, WebSocket v2: everything together."""
from orderflow.simulator.dialects.kraken_orders import KrakenOrders


class KrakenV2(KrakenOrders):
    """ws.kraken.com/v2, ws-auth.kraken.com/v2 and api.kraken.com."""


DIALECT = KrakenV2

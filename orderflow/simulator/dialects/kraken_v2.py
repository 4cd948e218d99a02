"""Kraken spot, WebSocket v2: everything together."""
from orderflow.simulator.dialects.kraken_entry import KrakenEntry
from orderflow.simulator.dialects.kraken_rest import KrakenRest


class KrakenV2(KrakenRest):
    """ws.kraken.com/v2, ws-auth.kraken.com/v2 and api.kraken.com."""

    order_entry = KrakenEntry


DIALECT = KrakenV2

"""What faults have to know of Kraken spot's private side."""
import json
import re

from orderflow.simulator.dialects.kraken_accounts import ROOT
from orderflow.simulator.dialects.kraken_public import JSON_HEADERS
from orderflow.simulator.entry import OrderEntry, Request
from orderflow.simulator.exchange import Response

KINDS = {"add_order": "place", "batch_add": "place", "cancel_order": "cancel", "cancel_all": "cancel",
         "batch_cancel": "cancel", "amend_order": "change", "edit_order": "change"}
CALLS = {"AddOrder": "place", "CancelOrder": "cancel", "CancelAll": "cancel", "AmendOrder": "change",
         "EditOrder": "change", "OpenOrders": "query", "ClosedOrders": "query", "QueryOrders": "query",
         "TradesHistory": "query", "QueryTrades": "query", "Balance": "query", "BalanceEx": "query"}
WORDS = {"reject": "EOrder:Insufficient funds", "unknown": "EService:Unavailable"}
ZEROED = re.compile(r'"last_qty":[0-9.]+')


class KrakenEntry(OrderEntry):
    """Requests of WebSocket v2 and private REST endpoints."""

    def request(self, path: str, text: str) -> Request | None:
        try:
            asked = json.loads(text)
            kind = KINDS.get(asked.get("method"))
            symbol = str(asked.get("params", {}).get("symbol", ""))
        except (ValueError, AttributeError):
            return None
        return None if kind is None else Request(kind, symbol, asked.get("req_id"))

    def call(self, method: str, path: str, query: str, body: bytes) -> Request | None:
        kind = CALLS.get(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
        return None if kind is None else Request(kind, "")

    def is_answer(self, text: str) -> bool:
        return '"method":"' in text

    def is_report(self, text: str) -> bool:
        return text.startswith(('{"channel":"executions","type":"update"', '{"channel":"balances","type":"update"'))

    def words(self, kind: str, status: int) -> str:
        if kind == "overload":
            return "EAPI:Rate limit exceeded" if status in (418, 429) else "EService:Busy"
        return WORDS[kind]

    def refusal(self, text: str, request: Request, error: str, status: int) -> str:
        identity = {} if request.identity is None else {"req_id": request.identity}
        stamp = "2000-01-01T00:00:00.000000Z"
        return json.dumps({"method": json.loads(text)["method"], "error": error, "success": False, "time_in": stamp,
                           "time_out": stamp} | identity, separators=(",", ":"))

    def refused_call(self, error: str, status: int) -> Response:
        more = {"Retry-After": "1"} if status in (418, 429, 503) else {}
        return Response(status, JSON_HEADERS | more, json.dumps({"error": [error]}).encode())

    def lie(self, text: str) -> str | None:
        for true, false in (("canceled", "filled"), ("expired", "filled"), ("partially_filled", "filled")):
            if f'"order_status":"{true}"' in text:
                return text.replace(f'"order_status":"{true}"', f'"order_status":"{false}"', 1)
        return None

    def zero_fill(self, text: str) -> str | None:
        if '"exec_type":"trade"' not in text:
            return None
        text = ZEROED.sub('"last_qty":0.00000000', text, count=1)
        return re.sub(r'"exec_id":"T', '"exec_id":"TZ', text, count=1)

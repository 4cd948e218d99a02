"""What faults have to know of Binance spot's private side."""
import json
import re
from urllib.parse import parse_qsl

from orderflow.simulator.dialects.binance import JSON_HEADERS, compact
from orderflow.simulator.dialects.binance_orders import API_PATH, REST
from orderflow.simulator.entry import OrderEntry, Request
from orderflow.simulator.exchange import Response

KINDS = {"order.place": "place", "order.cancel": "cancel", "openOrders.cancelAll": "cancel",
         "order.cancelReplace": "change", "order.amend.keepPriority": "change", "order.status": "query",
         "openOrders.status": "query", "allOrders": "query", "myTrades": "query", "account.status": "query"}
WORDS = {
    "reject": "-2010 Account has insufficient balance for requested action.",
    "unknown": "-1007 Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
}
BY_STATUS = {429: "-1003 Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use "
                  "WebSocket Streams for live updates to avoid polling the API.",
             418: "-1003 Way too much request weight used; IP banned until 9999999999999. Please use WebSocket Streams "
                  "for live updates to avoid bans.",
             503: "-1008 Server is currently overloaded with other requests. Please try again in a few minutes."}


class BinanceEntry(OrderEntry):
    """Requests of the WebSocket API and their REST twins."""

    def request(self, path: str, text: str) -> Request | None:
        if not path.startswith(API_PATH):
            return None
        try:
            asked = json.loads(text)
            kind = KINDS.get(asked.get("method"))
            symbol = str(asked.get("params", {}).get("symbol", ""))
        except (ValueError, AttributeError):
            return None
        return None if kind is None else Request(kind, symbol, asked.get("id"))

    def call(self, method: str, path: str, query: str, body: bytes) -> Request | None:
        kind = KINDS.get(REST.get((method, path.removeprefix("/api/v3")), ""))
        fields = dict(parse_qsl(query)) | dict(parse_qsl(body.decode(errors="replace")))
        return None if kind is None else Request(kind, fields.get("symbol", ""))

    def is_answer(self, text: str) -> bool:
        return text.startswith('{"id":')

    def is_report(self, text: str) -> bool:
        return '"e":"executionReport"' in text[:200] or '"e":"outboundAccountPosition"' in text[:200]

    def words(self, kind: str, status: int) -> str:
        return BY_STATUS.get(status, BY_STATUS[503]) if kind == "overload" else WORDS[kind]

    def refusal(self, text: str, request: Request, error: str, status: int) -> str:
        return compact({"id": request.identity, "status": status, "error": _error(error)})

    def refused_call(self, error: str, status: int) -> Response:
        more = {"Retry-After": "1"} if status in (418, 429, 503) else {}
        return Response(status, JSON_HEADERS | more, compact(_error(error)).encode())

    def lie(self, text: str) -> str | None:
        for true, false in (("CANCELED", "FILLED"), ("EXPIRED", "FILLED"), ("FILLED", "PARTIALLY_FILLED")):
            if f'"X":"{true}"' in text:
                return text.replace(f'"X":"{true}"', f'"X":"{false}"', 1)
        return None

    def zero_fill(self, text: str) -> str | None:
        if '"x":"TRADE"' not in text:
            return None
        text = re.sub(r'"l":"[0-9.]+"', '"l":"0.00000000"', text, count=1)
        return re.sub(r'"t":(\d+)', lambda found: f'"t":{int(found[1]) + 10**9}', text, count=1)


def _error(error: str) -> dict:
    code, _, message = error.partition(" ")
    return {"code": int(code), "msg": message}

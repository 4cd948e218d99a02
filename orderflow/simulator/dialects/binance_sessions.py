"""Who sends a Binance spot request: keys, times, signatures, sessions of the WebSocket API.

Source: Binance's "Request security", "Session authentication" and "Timing security" (spot).
"""
import hashlib
import hmac
from base64 import b64decode
from binascii import Error as BadBase64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.binance import RequestError
from orderflow.simulator.dialects.binance_order_fields import missing
from orderflow.simulator.dialects.binance_user_stream import BinanceUserStream
from orderflow.simulator.exchange import SECOND_NS, Connection
from orderflow.simulator.numbers import to_scaled

NO_KEY = RequestError(401, -2015, "Invalid API-key, IP, or permissions for action.")


class BinanceSessions(BinanceUserStream):
    """Knows accounts by their keys."""

    def session_call(self, connection: Connection, method: str, parameters: dict[str, str]) -> dict | None:
        """Answer a method that is about the session or its user data stream; None for any other."""
        match method:
            case "session.logon":
                return self._logon(connection, parameters)
            case "session.status":
                return self._session(connection)
            case "session.logout":
                connection.session_key = None
                return self._session(connection)
            case "userDataStream.subscribe":
                if connection.session_key is None:
                    raise NO_KEY
                return self._subscribe(connection, self.desk.account_of(connection.session_key))
            case "userDataStream.subscribe.signature":
                return self._subscribe(connection, self.authenticate(connection, parameters))
            case "userDataStream.unsubscribe":
                self._streams.pop(connection.id, None)
                return {}
        return None

    def _subscribe(self, connection: Connection, account: Account) -> dict:
        self._streams[connection.id] = (0, account)
        return {"subscriptionId": 0}

    def _logon(self, connection: Connection, parameters: dict[str, str]) -> dict:
        account = self.account_of(connection, parameters)
        if not account.settings.public_key:
            raise RequestError(400, -4056, "HMAC_SHA256 API key is not supported.")
        self.check_signed(account, parameters, _sorted_payload(parameters))
        connection.session_key = account.settings.api_key
        return self._session(connection)

    def _session(self, connection: Connection) -> dict:
        stamp = self.stamp(self.now_ns)
        return {"apiKey": connection.session_key, "authorizedSince": stamp if connection.session_key else None,
                "connectedSince": self.stamp(connection.opened_ns), "returnRateLimits": True, "serverTime": stamp,
                "userDataStream": connection.id in self._streams}

    def account_of(self, connection: Connection, parameters: dict[str, str]) -> Account:
        """The account of a request's key, or of the session's."""
        key = parameters.get("apiKey") or connection.session_key
        if not key:
            raise RequestError(400, -1102, missing("apiKey"))
        return self.account_of_key(key)

    def account_of_key(self, key: str) -> Account:
        """The account of a key; RequestError -2015 where there is none."""
        account = self.desk.account_of(key)
        if account is None:
            raise NO_KEY
        return account

    def authenticate(self, connection: Connection, parameters: dict[str, str]) -> Account:
        """The account that a request of the WebSocket API is signed by, or whose session it is."""
        account = self.account_of(connection, parameters)
        if "signature" not in parameters and connection.session_key == account.settings.api_key:
            self._check_time(parameters)
        else:
            self.check_signed(account, parameters, _sorted_payload(parameters))
        return account

    def _check_time(self, parameters: dict[str, str]) -> None:
        stamp, window = parameters.get("timestamp", ""), parameters.get("recvWindow", "5000")
        if not stamp.isdigit():
            raise RequestError(400, -1102, missing("timestamp"))
        try:
            window_ns = to_scaled(window, 3) * 1_000
        except ValueError:
            raise RequestError(400, -1102, missing("recvWindow")) from None
        if window_ns > 60 * SECOND_NS:
            raise RequestError(400, -1131, "recvWindow must be less than 60000.")
        sent_ns = int(stamp) * (1_000 if len(stamp) > 14 else 1_000_000)
        arrived_ns = self.now_ns + self.skew_ns - self.waited_ns
        if sent_ns >= arrived_ns + SECOND_NS:
            raise RequestError(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if arrived_ns - sent_ns > window_ns + 1_000_000:        # their clock shows whole milliseconds
            raise RequestError(400, -1021, "Timestamp for this request is outside of the recvWindow.")

    def check_signed(self, account: Account, parameters: dict[str, str], payload: str) -> None:
        """RequestError where a request is too old or its signature is not right."""
        signature = parameters.get("signature")
        if not signature:
            raise RequestError(400, -1102, missing("signature"))
        self._check_time(parameters)
        if not _is_signed(account, payload, signature):
            raise RequestError(400, -1022, "Signature for this request is not valid.")


def _sorted_payload(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if name != "signature")


def _is_signed(account: Account, payload: str, signature: str) -> bool:
    if account.settings.public_key:
        try:
            load_pem_public_key(account.settings.public_key.encode()).verify(b64decode(signature), payload.encode())
        except (InvalidSignature, BadBase64):
            return False
        return True
    expected = hmac.new(account.settings.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature.lower())

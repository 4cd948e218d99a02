"""Who sends a private Kraken request: signatures and nonces over REST, tokens over websockets, and what each may do.

Source: Kraken's "Spot REST authentication", "Spot WebSocket authentication" at docs.kraken.com.
"""
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from urllib.parse import parse_qsl

from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.kraken_executions import KrakenExecutions
from orderflow.simulator.dialects.kraken_limits import TIERS, Counter, Tier, rest_cost
from orderflow.simulator.dialects.kraken_words import Refused
from orderflow.simulator.exchange import SECOND_NS

TOKEN_LIFE_NS = 900 * SECOND_NS
ROOT = "/0/private/"


class KrakenAccounts(KrakenExecutions):
    """Knows accounts by their keys and tokens, and counts what they do."""

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._tokens: dict[str, tuple[Account, int]] = {}       # token -> (account, time until it must be used)
        self._issued = 0
        self._nonces: dict[str, int] = {}
        self._rest: dict[str, Counter] = {}                     # of a key
        self._trading: dict[tuple[int, str], Counter] = {}      # of an account in a pair

    def tier_of(self, account: Account) -> Tier:
        """What an account may do."""
        return TIERS[account.settings.tier]

    def trading_counter(self, account: Account, symbol: str) -> Counter:
        """The counter of an account's orders in one pair."""
        tier = self.tier_of(account)
        return self._trading.setdefault((account.index, symbol), Counter(tier.trading_most, tier.trading_decay))

    @property
    def limit_refusals(self) -> int:
        """Requests that were refused because there were too many of them."""
        return sum(counter.refusals for counter in (*self._rest.values(), *self._trading.values()))

    def count(self, account: Account, symbol: str, count: float, refuse: bool = True) -> None:
        """Count what was done in a pair. Refused where it is too much."""
        if not self.trading_counter(account, symbol).add(count, self.now_ns, refuse):
            raise Refused("EOrder:Rate limit exceeded")

    def counted(self, account: Account, item: dict) -> dict:
        symbol = item.get("symbol")
        if symbol is None:
            return {}
        return {"ratecount": round(self.trading_counter(account, symbol).value(self.now_ns))}

    # tokens

    def issue_token(self, account: Account) -> dict:
        """A token that has to be used within 15 minutes, and lives on with a private subscription."""
        self._issued += 1
        seed = f"{self.name}/{account.settings.api_key}/{self._issued}"
        token = b64encode(hashlib.sha256(seed.encode()).digest()).decode()
        for old, (_, until_ns) in list(self._tokens.items()):
            if until_ns < self.now_ns and not self._is_subscribed(self._tokens[old][0]):
                del self._tokens[old]
        self._tokens[token] = (account, self.now_ns + TOKEN_LIFE_NS)
        return {"token": token, "expires": TOKEN_LIFE_NS // SECOND_NS}

    def account_of_token(self, parameters: dict) -> Account:
        """The account whose token comes with a request."""
        account, until_ns = self._tokens.get(str(parameters.get("token")), (None, 0))
        if account is None:
            raise Refused("EAuth:Invalid token" if "token" in parameters else "EGeneral:Invalid arguments:token")
        if self.now_ns > until_ns and not self._is_subscribed(account):
            raise Refused("EAuth:Token expired")
        return account

    def expire_streams(self) -> None:
        """Every token and private subscription is void from now on, without a word; the sockets stay open (a fault)."""
        self._tokens.clear()
        self._private.clear()

    def _is_subscribed(self, account: Account) -> bool:
        return any(owner is account for owner, _ in self._private.values())

    # REST

    def authenticate(self, method: str, path: str, headers, body: bytes) -> tuple[Account, dict[str, str]]:
        """The account that a REST request is signed by, and its fields."""
        account = self.desk.account_of(headers.get("api-key", ""))
        if account is None or method != "POST":
            raise Refused("EAPI:Invalid key" if method == "POST" else "EGeneral:Unknown method")
        text = body.decode()
        try:
            fields = json.loads(text, parse_float=str) if text.startswith("{") else dict(
                parse_qsl(text, keep_blank_values=True))
            nonce = str(fields["nonce"])
            number = int(nonce)
        except (ValueError, KeyError):
            raise Refused("EAPI:Invalid nonce") from None
        digest = path.encode() + hashlib.sha256((nonce + text).encode()).digest()
        expected = b64encode(hmac.new(b64decode(account.settings.secret), digest, hashlib.sha512).digest()).decode()
        if not hmac.compare_digest(expected, headers.get("api-sign", "")):
            raise Refused("EAPI:Invalid signature")
        key = account.settings.api_key
        if number <= self._nonces.get(key, 0):
            raise Refused("EAPI:Invalid nonce")
        self._nonces[key] = number
        tier = self.tier_of(account)
        counter = self._rest.setdefault(key, Counter(tier.rest_most, tier.rest_decay))
        if not counter.add(rest_cost(path.removeprefix(ROOT)), self.now_ns):
            raise Refused("EAPI:Rate limit exceeded")
        return account, {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}

"""Accounts of a simulated exchange: keys, and balances that are reserved and moved exactly.

Amounts are integers in 1e-24 of an asset: price times quantity always fits, so nothing is ever rounded but the fee,
which is charged at FEE_DECIMALS digits and stated at the same.
"""
import base64
import hashlib
from dataclasses import dataclass, field

from orderflow.simulator.numbers import to_scaled, to_text

AMOUNT_DECIMALS = 24
FEE_DECIMALS = 8


@dataclass(frozen=True)
class AccountSettings:
    """Who may trade. `secret` is what its kind of key signs with: text for Binance's HMAC keys, base64 for Kraken's.

    `public_key` is an Ed25519 key (PEM) for Binance's sessions; an account has one or the other.
    `balances` are decimals as text. `tier` is Kraken's: starter, intermediate or pro; or
    unlimited, which nobody has, for what is not about limits.
    """
    api_key: str = field(repr=False)
    secret: str = field(default="", repr=False)
    public_key: str = ""
    balances: dict[str, str] = field(default_factory=dict)
    name: str = "main"
    tier: str = "pro"


def practice_account(exchange: str) -> AccountSettings:
    """An account whose key is the exchange's name, and whose secret suits every protocol."""
    digest = hashlib.sha256(f"orderflow {exchange}".encode()).digest()
    return AccountSettings(exchange, base64.b64encode(digest).decode())


class InsufficientFunds(Exception):
    """More was to be reserved than is free."""


class Account:
    """Balances of one account. `index` is its owner number in the matching engine, from 1."""

    def __init__(self, settings: AccountSettings, index: int):
        self.settings = settings
        self.index = index
        self.free: dict[str, int] = {}
        self.locked: dict[str, int] = {}
        for asset, amount in settings.balances.items():
            self.free[asset] = to_scaled(amount, AMOUNT_DECIMALS)

    def reserve(self, asset: str, amount: int) -> None:
        """Free to locked. InsufficientFunds where it is not there; nothing has happened then."""
        if self.free.get(asset, 0) < amount:
            raise InsufficientFunds(asset)
        self.free[asset] -= amount
        self.locked[asset] = self.locked.get(asset, 0) + amount

    def release(self, asset: str, amount: int) -> None:
        """Locked to free."""
        self.locked[asset] -= amount
        self.free[asset] = self.free.get(asset, 0) + amount

    def spend(self, asset: str, amount: int) -> None:
        """Locked to somebody else."""
        self.locked[asset] -= amount

    def receive(self, asset: str, amount: int) -> None:
        """Somebody else's to free; of a fee the amount is negative."""
        self.free[asset] = self.free.get(asset, 0) + amount

    def total(self, asset: str) -> int:
        """Free and locked."""
        return self.free.get(asset, 0) + self.locked.get(asset, 0)

    @property
    def assets(self) -> list[str]:
        """Assets that are or were held."""
        return sorted(self.free.keys() | self.locked.keys())


def amount_text(amount: int, decimals: int = FEE_DECIMALS) -> str:
    """An amount as text, cut to `decimals`."""
    return to_text(amount // 10 ** (AMOUNT_DECIMALS - decimals), decimals)

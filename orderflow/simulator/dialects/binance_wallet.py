"""The few endpoints of Binance's wallet that clients of its spot exchange ask before they trade: coins, margin pairs.

There is no margin here, and nothing is deposited or withdrawn.

Source: Binance's "Wallet: All coins' information" and "Margin: Get all cross/isolated margin pairs".
"""
from orderflow.simulator.instruments import SimulatedInstrument

ROOT = "/sapi/v1"


def wallet(path: str, instruments: tuple[SimulatedInstrument, ...]) -> list[dict] | None:
    """The answer to a GET of that path; None where it is not served."""
    match path.removeprefix(ROOT):
        case "/margin/allPairs" | "/margin/isolated/allPairs":
            return []
        case "/capital/config/getall":
            assets = sorted({asset for one in instruments for asset in (one.base, one.quote)})
            return [{"coin": asset, "name": asset, "trading": True, "isLegalMoney": False, "depositAllEnable": False,
                     "withdrawAllEnable": False, "free": "0", "locked": "0", "freeze": "0", "withdrawing": "0",
                     "networkList": []} for asset in assets]
    return None

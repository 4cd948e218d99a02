"""Binance's session: what its metadata says of spot, USD-M and COIN-M."""
import json
from decimal import Decimal

import pytest

from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionError, SessionSettings

SPOT = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quotePrecision": 8, "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
             "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"}]}
USDM = {"symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2,
        "quantityPrecision": 3, "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"}]}
COINM = USDM | {"symbol": "BTCUSD_PERP", "pair": "BTCUSD", "quoteAsset": "USD", "marginAsset": "BTC",
                "contractStatus": "TRADING", "contractSize": 100, "pricePrecision": 1, "quantityPrecision": 0}


def listed(market, entry):
    session = session_for(f"binance_{market}", SessionSettings("test", symbols=(entry["symbol"],)))
    [listing] = session.listings({"exchangeInfo": json.dumps({"symbols": [entry]}).encode()})
    return listing


def test_listings_of_documented_instruments():
    spot = listed("spot", SPOT)
    assert (spot.instrument, spot.base, spot.quote, spot.tick, spot.lot, spot.halted) == (
        "BTC-USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), False)
    assert (spot.minimum_quantity, spot.minimum_notional) == (Decimal("0.00001"), 5)
    assert listed("spot", SPOT | {"status": "BREAK"}).halted


@pytest.mark.parametrize("market, entry, named", [
    ("usdm", USDM, "BTC-USDT-PERPETUAL"),
    ("usdm", USDM | {"symbol": "BTCUSDT_260327", "contractType": "CURRENT_QUARTER"}, "BTC-USDT-260327"),
    ("coinm", COINM, "BTC-USD-PERPETUAL-100USD"),
    ("coinm", COINM | {"symbol": "ETHUSD_260327", "baseAsset": "ETH", "contractType": "CURRENT_QUARTER",
                       "contractSize": 10}, "ETH-USD-260327-10USD"),
])
def test_contracts_are_named_by_their_end_and_by_what_one_is(market, entry, named):
    assert listed(market, entry).instrument == named


def test_a_symbol_that_is_not_offered_is_named():
    session = session_for("binance_spot", SessionSettings("test", symbols=("NOSUCH",)))
    with pytest.raises(SessionError, match="'NOSUCH' is not offered; check `symbols`"):
        session.listings({"exchangeInfo": b'{"symbols":[]}'})

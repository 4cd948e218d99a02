"""Listings that are joined: what they belong to, in which currency, and what the native table says of it."""
from dataclasses import replace
from decimal import Decimal

import pytest

from orderflow._core.types import Conversion
from orderflow.instrument import NO_INSTRUMENT, Listing, OrderCharges, instruments_of, place_of, table
from orderflow.joining import Join, JoinError, joined

BTC = Listing("one", "BTC/USD", "BTC-USD", "BTC", "USD", 1, 8, Decimal("0.1"), Decimal("0.00000001"))
XBT = replace(BTC, exchange="two", symbol="XBTUSD", instrument="XBT-USD", base="XBT")
TETHER = replace(BTC, exchange="two", symbol="BTCUSDT", instrument="BTC-USDT", quote="USDT", price_decimals=2,
                 tick=Decimal("0.01"))
RATE = replace(BTC, symbol="USDT/USD", instrument="USDT-USD", base="USDT", price_decimals=5, tick=Decimal("0.00001"))
PERPETUAL = replace(TETHER, symbol="BTCUSDT-P", instrument="BTC-USDT-PERPETUAL")
EXCHANGES = ["one", "two"]
WITH_TETHER = {"BTC-USD": Join({"two": ("BTCUSDT",)}, {"USDT": "USDT-USD"})}


def test_the_same_thing_under_another_name_needs_no_rate():
    found = joined([BTC, XBT], {"BTC-USD": Join({"two": ("XBTUSD",)})})
    (item,) = instruments_of(found)
    assert (item.name, item.listings, item.price_decimals) == ("BTC-USD", (0, 1), 1)
    assert found[0].own_name == "BTC-USD" and found[1].own_name == "XBT-USD" and found[1].priced_in == "USD"
    assert list(table(found, EXCHANGES)["conversion"]) == [Conversion.NOT_CONVERTED] * 2


def test_another_currency_is_converted_from_the_instrument_that_is_named():
    found = joined([BTC, TETHER, RATE], WITH_TETHER)
    items, rows = instruments_of(found), table(found, EXCHANGES)
    assert [item.name for item in items] == ["BTC-USD", "USDT-USD"] and found[1].priced_in == "USD"
    assert items[0].price_decimals == 8         # six more than a tick of a cent
    assert (rows["conversion"][1], rows["rate_instrument"][1], rows["price_factor"][1]) == (Conversion.DIRECT, 1, 10**6)
    assert (rows["conversion"][0], rows["price_factor"][0]) == (Conversion.NOT_CONVERTED, 10**7)
    assert [Listing.load(one.document()) for one in found] == found


def test_a_rate_may_be_quoted_the_other_way_round():
    other = replace(RATE, symbol="USD/USDT", instrument="USD-USDT", base="USD", quote="USDT")
    found = joined([BTC, TETHER, other], {"BTC-USD": Join({"two": ("BTCUSDT",)}, {"USDT": "USD-USDT"})})
    assert table(found, EXCHANGES)["conversion"][1] == Conversion.INVERSE


def test_a_rate_of_an_exchange_that_was_left_out_is_none():
    found = joined([BTC, TETHER], WITH_TETHER, left_out=["three"])
    assert table(found, EXCHANGES)["rate_instrument"][1] == NO_INSTRUMENT
    with pytest.raises(JoinError, match="nobody lists USDT-USD"):
        joined([BTC, TETHER], WITH_TETHER)


def test_a_symbol_of_an_exchange_that_was_left_out_is_not_missed():
    joins = {"BTC-USD": Join({"two": ("BTCUSDT",)}, {"USDT": "USDT-USD"})}
    assert joined([BTC, RATE], joins, left_out=["two"]) == [replace(BTC, listed_as="BTC-USD"), RATE]


def test_two_kinds_are_not_joined():
    with pytest.raises(JoinError, match="two BTCUSDT-P is BTC-USDT-PERPETUAL, which is not of the same kind"):
        joined([BTC, PERPETUAL, RATE], {"BTC-USD": Join({"two": ("BTCUSDT-P",)}, {"USDT": "USDT-USD"})})
    with pytest.raises(JoinError, match="the name says in which currency"):
        joined([BTC], {"BTC": Join({"one": ("BTC/USD",)})})


def test_an_exchange_that_has_several_is_named_with_the_symbol():
    found = joined([BTC, replace(TETHER, exchange="one"), RATE],
                   {"BTC-USD": Join({"one": ("BTCUSDT",)}, {"USDT": "USDT-USD"})})
    assert [place_of(found, index) for index in range(3)] == ["one BTC/USD", "one BTCUSDT", "one"]


def test_charges_go_by_what_the_exchange_calls_it():
    (_, tether, _) = joined([BTC, TETHER, RATE], WITH_TETHER)
    charges = OrderCharges({"USDT": Decimal(2), "USD": Decimal(3)}, {"BTC-USDT": ((Decimal(1), Decimal("-0.1")),)})
    assert (tether.with_charges(charges).ticket, len(tether.with_charges(charges).fee_tiers)) == (2, 1)

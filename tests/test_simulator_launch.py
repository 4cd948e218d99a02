"""Simulated exchanges from settings, in threads and processes; ccxt as a client that knows the real ones."""
import json
import socket
import time
import urllib.error
import urllib.request

import ccxt
import pytest
import websocket

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.certificates import Authority
from orderflow.simulator.dialects import PROTOCOLS
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings, build, start_thread

SPOT = ('1000000000\trx\tc\t{"stream":"btcusdt@trade","data":{"e":"trade","E":2,"s":"BTCUSDT","t":1,"p":"10.50",'
        '"q":"0.250"}}\n')


def get(url, **options):
    with urllib.request.urlopen(url, timeout=10, **options) as answer:
        return json.loads(answer.read())


def test_a_process_of_its_own_serves_a_capture_with_tls(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text(SPOT)
    settings = SimulatorSettings("spot", "binance_spot", capture=str(path), speed=0)
    with Authority() as authority, ExchangeProcess(settings, authority) as exchange:
        assert not exchange.played.is_set()
        client = websocket.create_connection(f"wss://127.0.0.1:{exchange.ports.tls}/ws/btcusdt@trade", timeout=10,
                                             sslopt={"context": authority.client_context()})
        assert json.loads(client.recv())["p"] == "10.50"
        assert exchange.played.wait(10)
        assert get(f"http://127.0.0.1:{exchange.ports.plain}/simulator/status")["played"]
        client.close()
    exchange.stop()


def test_a_process_that_cannot_start_says_why(tmp_path):
    bad = tmp_path / "bad.tsv"
    bad.write_text("1\trx\n")
    with pytest.raises(ValueError, match="bad.tsv, line 1: expected 4 fields"):
        ExchangeProcess(SimulatorSettings("spot", "binance_spot", capture=str(bad))).start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port: 127.0.0.1:{port} of exchange spot"):
            ExchangeProcess(SimulatorSettings("spot", "binance_spot", port=port)).start()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_something_to_trade(protocol):
    exchange = build(SimulatorSettings("one", protocol, seed=3, origin_ns=10**18))
    exchange.advance(10**18)
    for book in exchange.source.books.values():
        bid, _, ask, _ = book.touch
        assert 0 < ask - bid < bid // 1000


def test_accounts_need_a_protocol_that_takes_orders():
    with pytest.raises(ValueError, match="accounts: binance_usdm is simulated without order entry"):
        build(SimulatorSettings("one", "binance_usdm", accounts=(AccountSettings("k"),)))


def test_the_truth_is_served_beside_the_exchange():
    settings = SimulatorSettings("one", "kraken_v2", accounts=(AccountSettings("k", balances={"USD": "12.5"}),))
    server = start_thread(settings)
    try:
        truth = get(f"http://127.0.0.1:{server.ports.plain}/simulator/truth")
        assert truth["events"] == [] and truth["balances"]["main"]["USD"]["free"].startswith("12.50")
        with pytest.raises(urllib.error.HTTPError):
            get(f"http://127.0.0.1:{server.ports.plain}/simulator/nothing")
    finally:
        server.stop()


@pytest.mark.parametrize("protocol, name, symbol", [
    ("binance_spot", "binance", "BTC/USDT"), ("binance_usdm", "binanceusdm", "BTC/USDT:USDT"),
    ("binance_coinm", "binancecoinm", "BTC/USD:BTC"), ("kraken_v2", "kraken", "BTC/USDT"),
])
def test_ccxt_reads_markets_and_books(protocol, name, symbol):
    server = start_thread(SimulatorSettings(name, protocol, seed=3, origin_ns=time.time_ns()))
    try:
        base = f"http://127.0.0.1:{server.ports.plain}"
        client = getattr(ccxt, name)({"timeout": 10_000, "options": {
            "fetchCurrencies": False, "defaultType": {"binance": "spot", "binanceusdm": "linear",
                                                      "binancecoinm": "inverse"}.get(name, "spot"),
            "fetchMarkets": {"types": [{"binance": "spot", "binanceusdm": "linear"}.get(name, "inverse")]}}})
        client.has["fetchCurrencies"] = False
        urls = client.urls["api"]
        for key, url in urls.items():
            for host in ("https://api.binance.com", "https://fapi.binance.com", "https://dapi.binance.com",
                         "https://api.kraken.com"):
                if isinstance(url, str) and url.startswith(host):
                    urls[key] = url.replace(host, base)
        markets = client.load_markets()
        assert symbol in markets
        book = client.fetch_order_book(symbol, limit=20)
        assert len(book["bids"]) == len(book["asks"]) == 20 and book["bids"][0][0] < book["asks"][0][0]
    finally:
        server.stop()

"""Simulated exchanges from settings, in threads and processes."""
import json
import socket
import urllib.error
import urllib.request

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

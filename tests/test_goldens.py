"""Recorded frames of real exchanges give exactly the books that a slow reference built from them."""
import json
import subprocess
from pathlib import Path

import pytest

from orderflow.research.books import books
from orderflow.simulator.dialects import PROTOCOLS
from tests.conftest import goldens_of
from tests.process import COMMAND, ENVIRONMENT

COMPARED = {
    "updates_applied", "gaps", "checksums_ok", "checksums_failed", "trades", "trade_volume", "levels_changed",
    "final_levels", "final_bbo", "final_top_bids", "final_top_asks", "final_book_sha256", "bbo_trace_sha256",
    "bbo_changes",
}
#: Every combination of server, ws or wss, and layout.
SMALL = ("cf_binance_a", "cf_binance_futures_a", "cf_binance_delivery_a", "kraken_v2_a")
LARGE = ("binance_spot_btcusdt_20240808", "binance_usdm_btcusdt_20240808", "binance_coinm_btcusdperp_20240808")
#: Every large capture goes through sockets once; together they meet both servers, both layouts, ws and wss.
LARGE_SOCKETS = tuple(zip(LARGE, ("sync", "async", "sync"), (True, True, False), ("split", "fused", "fused"),
                          strict=True))


def golden(feeds, name):
    return json.loads((feeds / "golden" / f"{name}.json").read_text())


def expected(golden):
    return {symbol: {field: entry[field] for field in COMPARED} for symbol, entry in golden["symbols"].items()}


def compared(summaries):
    """The compared fields, of the instruments that the capture has frames of."""
    return {symbol: {field: summary[field] for field in COMPARED} for symbol, summary in summaries.items()}


def check(feeds, name, server, **options):
    truth = golden(feeds, name)
    played = books(feeds / truth["capture"], None if "http" in truth["lines_by_dir"] else truth["venue"], server,
                   **options)
    assert played.problems == []
    assert compared(played.summaries) == expected(truth)


@pytest.mark.parametrize("name", SMALL + LARGE)
def test_direct(feeds, name):
    check(feeds, name, "direct")


@pytest.mark.parametrize("layout", ["split", "fused"])
@pytest.mark.parametrize("tls", [True, False], ids=["wss", "ws"])
@pytest.mark.parametrize("server", ["sync", "async"])
@pytest.mark.parametrize("name", SMALL)
def test_through_sockets(feeds, name, server, tls, layout):
    check(feeds, name, server, tls=tls, layout=layout)


@pytest.mark.parametrize("server", ["direct", "sync", "async"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_captures_of_every_other_protocol(feeds, protocol, server):
    """All captures that a protocol has. What does not depend on the protocol is crossed by the tests above."""
    for truth in goldens_of(feeds, protocol):
        name = Path(truth["capture"]).name.split(".")[0]
        if name not in SMALL + LARGE:
            check(feeds, name, server, layout="split" if server == "sync" else "fused")


@pytest.mark.parametrize("name, server, tls, layout", LARGE_SOCKETS)
def test_large_ones_through_sockets(feeds, name, server, tls, layout):
    check(feeds, name, server, tls=tls, layout=layout)


def test_on_the_command_line(feeds):
    truths = {name: golden(feeds, name) for name in SMALL}
    finished = subprocess.run(
        [*COMMAND, "books", *(str(feeds / truth["capture"]) for truth in truths.values()),
         "--server", "sync", "--json"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert (finished.returncode, finished.stderr) == (0, "")
    document = json.loads(finished.stdout)
    assert {name: compared(entry) for name, entry in document.items()} == {
        name: expected(truth) for name, truth in truths.items()}
    assert all(set(summary) == COMPARED for entry in document.values() for summary in entry.values())

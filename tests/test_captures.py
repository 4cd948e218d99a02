"""Reading capture files."""
import gzip
import json

import pytest

from orderflow.research.captures import CaptureError, Record, read_capture, recognise

LINES = (
    "100\thttp\thttps://api.kraken.com/0/public/AssetPairs\t{}\n"
    "200\topen\tA.1 wss://ws.kraken.com/v2\t\n"
    '300\ttx\tA.1\t{"method":"subscribe"}\n'
    '400\trx\tA.1\t{"price":0.10}\n'
    "500\trxb\tA.1\tAAH/\n"
)


def capture(tmp_path, text, packed=True):
    path = tmp_path / ("x.tsv.gz" if packed else "x.tsv")
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_records_are_typed(tmp_path, packed):
    records = list(read_capture(capture(tmp_path, LINES, packed)))
    assert records == [
        Record(1, 100, "http", "https://api.kraken.com/0/public/AssetPairs", "{}"),
        Record(2, 200, "open", "A.1", "wss://ws.kraken.com/v2"),
        Record(3, 300, "tx", "A.1", '{"method":"subscribe"}'),
        Record(4, 400, "rx", "A.1", '{"price":0.10}'),
        Record(5, 500, "rxb", "A.1", b"\x00\x01\xff"),
    ]


@pytest.mark.parametrize("bad, problem", [
    (b"1\trx\tA\n", "expected 4 fields"),
    (b"1\trx\tA\tx\ty\n", "expected 4 fields"),
    (b"one\trx\tA\t{}\n", "not an integer"),
    (b"-1\trx\tA\t{}\n", "not an integer"),
    (b"1\tin\tA\t{}\n", "direction 'in'"),
    (b"1\trxb\tA\t***\n", "not base64"),
    (b"1\trx\tA\t\xff\n", "not UTF-8"),
    (b"\n", "expected 4 fields"),
])
def test_a_bad_line_is_named(tmp_path, bad, problem):
    with pytest.raises(CaptureError, match=f"line 6: .*{problem}"):
        list(read_capture(capture(tmp_path, LINES.encode() + bad)))


def test_a_file_that_was_cut_short_says_where(tmp_path):
    path = capture(tmp_path, LINES * 500)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CaptureError, match="damaged or cut short") as caught:
        list(read_capture(path))
    assert caught.value.line > 1


def test_the_first_telling_url_names_the_protocol(tmp_path):
    assert recognise(capture(tmp_path, LINES)) == "kraken_v2"       # AssetPairs alone would not tell v1 from v2
    assert recognise(capture(tmp_path, '1\trx\tA\t{"x":1}\n')) is None


def test_every_recorded_feed_is_recognised_where_it_holds_urls(feeds):
    for path in sorted((feeds / "golden").glob("*.json")):
        golden = json.loads(path.read_text())
        if "venue" in golden:
            found = recognise(feeds / golden["capture"])
            assert found == golden["venue"] or (found is None and golden["venue"] in ("bybit_v5", "hyperliquid"))

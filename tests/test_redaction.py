"""What is named like a secret is taken out of text, and nothing else is."""
import io
import json
import logging
import urllib.parse

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from orderflow.cli import application
from orderflow.config import ConfigError, parse
from orderflow.exchanges.actions import Request, Send
from orderflow.redaction import RedactingLogger, redact_loggers, redacted

NAMES = ["signature", "apiKey", "api_key", "listenKey", "token", "access_token", "client_secret", "passphrase", "nonce",
         "X-MBX-APIKEY", "API-Key", "API-Sign", "Authorization", "KC-API-SIGN", "CB-ACCESS-PASSPHRASE",
         "X-BAPI-SIGN", "OK-ACCESS-KEY", "bfx-signature", "X-GEMINI-PAYLOAD", "authSig"]
VALUES = st.text("abcXYZ0189+/=_-.", min_size=8, max_size=64)


@given(st.sampled_from(NAMES), VALUES)
def test_a_value_is_found_however_it_is_written(name, value):
    quoted = urllib.parse.quote(value, safe="")
    for text in (f"GET https://x.example/a?b=1&{name}={quoted}&c=2 200 OK",
                 json.dumps({"a": 1, name: value, "b": [2]}), repr({name: value, "b": 1}), f"{name}: {value}\r\nB: c",
                 repr([(name.encode(), value.encode()), (b"B", b"c")]), json.dumps(json.dumps({name: value})),
                 f"Headers({{'{name.lower()}': '{value}'}})"):
        shown = redacted(text)
        assert value not in shown and quoted not in shown and "***" in shown, shown
        assert name.lower() in shown.lower(), "which one it was may be known"


@pytest.mark.parametrize("text", [
    "nonce: small", "no token for the order connection: ['EAPI:Invalid nonce']", "the key is wrong (code -2015)",
    "orders connection lost: the exchange closed it (code 1006)", "https://x.example/depth?symbol=BTCUSDT&limit=5000",
    "Signature for this request is not valid.", "token is invalid", "design=somethinglong", "monkey: bananabanana"])
def test_other_text_stays_as_it_is(text):
    assert redacted(text) == text


def test_a_scheme_before_the_value():
    assert redacted("Authorization: Bearer abcdefghijkl.mno") == "Authorization: Bearer ***"


@pytest.mark.parametrize("first", "0bBf\"")
def test_nothing_of_a_value_stays(first):
    """Of a b that might begin a Python literal neither."""
    assert redacted(f"GET /api/v3/account?timestamp=1&signature={first}0123456789abcdef HTTP/1.1").replace('"', "") == (
        "GET /api/v3/account?timestamp=1&signature=*** HTTP/1.1")


def test_what_libraries_log_is_redacted():
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    parent = logging.getLogger("orderflow.test.redaction")
    below = RedactingLogger(logging.getLogger("orderflow.test.redaction.below"))
    parent.addHandler(handler)
    parent.setLevel(1)
    try:
        redact_loggers(parent.name, parent.name)
        parent.info("GET %s", "/x?token=CanaryCanary")
        parent.info("%d of %d", 1, 2)
        below.log(9, "sent: %s", b"GET /?token=CanaryCanary")
        below.debug("token=CanaryCanary")
    finally:
        parent.removeHandler(handler)
    assert sink.getvalue() == "GET /x?token=***\n1 of 2\nsent: b'GET /?token=***'\ntoken=***\n"


def test_actions_show_no_secret():
    request = Request("x", "GET", "https://x.example/a?signature=CanaryCanary", (("API-Key", "CanaryCanary"),),
                      b"CanaryCanary")
    assert "Canary" not in f"{request} {Send('orders', 'CanaryCanary', secret=True)}" and "x.example/a" in repr(request)
    assert "hello" in repr(Send("market", "hello"))


@pytest.mark.parametrize("url", ["https://me:CanaryCanary@x.example", "ftp://x.example/?token=CanaryCanary"])
def test_a_wrong_address_is_told_without_what_it_holds(url):
    with pytest.raises(ConfigError, match=r"^exchanges\.a\.rest: ") as caught:
        parse({"exchanges": {"a": {"protocol": "kraken_v2", "symbols": ["A/B"], "rest": url}}})
    assert "Canary" not in str(caught.value)


def test_the_command_never_shows_local_variables(monkeypatch):
    made = []

    class Noted(typer.Typer):
        def __init__(self, **options):
            made.append(options)
            super().__init__(**options)

    monkeypatch.setattr(typer, "Typer", Noted)
    application.command_line().get_command(None, "doctor")
    assert len(made) == 2
    assert not any(one["pretty_exceptions_enable"] or one["pretty_exceptions_show_locals"] for one in made)

"""Scenario 30: secrets that everybody would recognise, in every place a secret can come from; whole runs that log all
they can; and not one hit in anything that they leave behind.

A second group of tests leaks on purpose, in each form and place: a search that finds nothing must be able to find.
"""
import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orderflow.cli import CHECK_FAILED, GOOD
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import SimulatorSettings, start_thread
from tests.canaries import contents, forms, hits
from tests.process import ENVIRONMENT
from tests.serving import allow_many_starts

#: How exchanges name what must stay between them and us: such a name in an output is a leak whatever its value is.
NAMES = {name: name for name in ("API-Sign", "KC-API-SIGN", '"signature"', "&signature=", '"passphrase"', '"apiKey"')}


def decoded(number):
    return bytes((17 * number + 7 * i) % 256 for i in range(48))


ALPHA = {"key": "CanaryKeyOfAlphaInTheEnvironment", "secret": "CanarySecretOfAlphaInTheEnvironment"}
GAMMA = {"key": "CanaryKeyOfGamma/InAFile+1", "secret": base64.b64encode(decoded(3)).decode()}
DELTA = {"key": "CanaryKeyOfDelta/InAFile+1", "secret": base64.b64encode(decoded(5)).decode(),
         "passphrase": "Canary?Passphrase&Of/Delta"}
KAPPA = {"key": "CanaryKeyOfKappaInTheKeyring", "secret": "CanarySecretOfKappaInTheKeyring",
         "passphrase": "Canary?Passphrase&Of/Kappa"}
CANARIES = {f"{name} {part}": text for name, parts in (
    ("alpha", ALPHA), ("gamma", GAMMA), ("delta", DELTA), ("kappa", KAPPA)) for part, text in parts.items()}
CANARIES |= {"gamma's decoded secret": decoded(3), "delta's decoded secret": decoded(5),
             "a wrong secret": "CanarySecretThatIsNotTheRightOne"}

STRATEGY = """
class Buyer:
    asked = False

    def on_signal(self, market, listing, entry):
        if not self.asked and entry["ask_count"]:
            self.asked = True
            for base in ("BTC", "ETH"):             # one on alpha, one on gamma
                market.submit(f"{base}-USDT", "buy", "0.01", seconds=6)
"""
KEYRING = f"""
PASSWORDS = {dict((f"KAPPA_{part.upper()}", text) for part, text in KAPPA.items())!r}


def get_password(service, user):
    return PASSWORDS.get(user)
"""


def instrument(base, symbol, tick):
    return SimulatedInstrument(symbol, base, "USDT", 8, 8, tick=tick, lot=1_000, minimum_quantity=1_000,
                               rest_symbol=f"{base}USDT")


@pytest.fixture(scope="module")
def exchanges():
    """Two that trade with the canaries as their accounts' keys, and two that show more to who has some."""
    now_ns = time.time_ns()
    started = {}
    for name, protocol, base, symbol, parts in (("alpha", "binance_spot", "BTC", "BTCUSDT", ALPHA),
                                                ("gamma", "kraken_v2", "ETH", "ETH/USDT", GAMMA)):
        account = AccountSettings(parts["key"], parts["secret"], balances={base: "100", "USDT": "10000000"})
        started[name] = start_thread(SimulatorSettings(
            name, protocol, seed=3, origin_ns=now_ns - 5 * 10**9, accounts=(account,),
            instruments=(instrument(base, symbol, 10**6),)))
    allow_many_starts(started["alpha"])
    started["delta"] = start_thread(SimulatorSettings("delta", "coinbase", seed=3))
    started["kappa"] = start_thread(SimulatorSettings("kappa", "kucoin", seed=3))
    yield started
    for exchange in started.values():
        exchange.stop()


class Setting:
    """A folder with a configuration and its credentials, and runs in it."""

    def __init__(self, folder, exchanges, server):
        self.folder, self.exchanges = folder, exchanges
        self.run_folder = folder / "run"
        self.environment = ENVIRONMENT | {f"ORDERFLOW_ALPHA_{part.upper()}": text for part, text in ALPHA.items()}
        (folder / "modules").mkdir()
        (folder / "modules/keyring.py").write_text(KEYRING)
        self.environment["PYTHONPATH"] += os.pathsep + str(folder / "modules")
        (folder / "canary_strategy.py").write_text(STRATEGY)
        self.write_keys()
        text = (f'[engine]\nserver = "{server}"\ndirectory = "{self.run_folder}"\nkeyring = true\n'
                f'credentials = "{folder / "keys/credentials.toml"}"\n')
        for name, protocol, symbol in (("alpha", "binance_spot", "BTCUSDT"), ("gamma", "kraken_v2", "ETH/USDT"),
                                       ("delta", "coinbase", "BTC-USD"), ("kappa", "kucoin", "BTC-USDT")):
            port = exchanges[name].ports.plain
            stream = "" if protocol == "kucoin" else f'stream = "ws://127.0.0.1:{port}"\n'
            orders = f"ws://127.0.0.1:{port}" + ("/ws-api/v3" if protocol == "binance_spot" else "")
            trades = name in ("alpha", "gamma")
            text += (f'[exchanges.{name}]\nprotocol = "{protocol}"\nsymbols = ["{symbol}"]\n'
                     f'rest = "http://127.0.0.1:{port}"\n{stream}' + trades * f'orders = "{orders}"\ntrade = true\n')
        for base in ("BTC", "ETH"):
            text += (f'[limits."{base}-USDT"]\nmaximum_position = 1\nmaximum_order_quantity = "0.1"\n'
                     'maximum_order_notional = 100000\n')
        text += ('[total_limits]\nmaximum_capital = { USDT = 1000000 }\nmaximum_loss = { USDT = 100000 }\n'
                 '[strategies.buyer]\nuse = "canary_strategy:Buyer"\n')
        self.configuration = folder / "engine.toml"
        self.configuration.write_text(text)

    def write_keys(self, **changed):
        (self.folder / "keys").mkdir(exist_ok=True)
        path = self.folder / "keys/credentials.toml"
        path.write_text("".join(
            f"[{name}]\n" + "".join(f'{part} = "{text}"\n' for part, text in (parts | changed).items())
            for name, parts in (("gamma", GAMMA), ("delta", DELTA))))
        path.chmod(0o600)

    def change(self, old, new):
        text = self.configuration.read_text()
        assert old in text
        self.configuration.write_text(text.replace(old, new))

    def before(self, text):
        """Something that the process does first."""
        (self.folder / "before.py").write_text(text)

    def run(self, *arguments, code=GOOD, timeout=60):
        """Everything that a command leaves behind, by where it is."""
        done = subprocess.run(
            [sys.executable, "-P", Path(__file__).parent / "canary_run.py", self.folder, *map(str, arguments)],
            env=self.environment, capture_output=True, timeout=timeout, cwd=self.folder)
        found = {"stdout": done.stdout, "stderr": done.stderr, **contents(self.folder / "seen")}
        if self.run_folder.exists():
            found |= contents(self.run_folder)
        assert code is None or done.returncode == code, done.stderr.decode() + done.stdout.decode()
        return found

    def made(self):
        """Secrets that were made on the way: session tokens, nonces."""
        kraken, kucoin = self.exchanges["gamma"].exchange, self.exchanges["kappa"].exchange
        found = {f"kraken's token {token}": token for token in kraken._tokens}
        found |= {f"kraken's nonce {nonce}": str(nonce) for nonce in kraken._nonces.values()}
        return found | {f"kucoin's {token}": token for token in kucoin.tokens}


@pytest.fixture(params=["sync", "async"])
def setting(tmp_path, exchanges, request):
    return Setting(tmp_path, exchanges, request.param)


@pytest.fixture
def one_setting(tmp_path, exchanges):
    return Setting(tmp_path, exchanges, "sync")


def nothing_leaked(setting, outputs):
    # Signed calls are logged without their signature; what is left of that is no leak.
    shown = {name: said.replace(b"&signature=***", b"") for name, said in outputs.items()}
    found = hits(CANARIES | setting.made() | NAMES, shown)
    assert not found, found
    return b"".join(outputs.values())


def test_scenario_30_a_run_that_trades_leaks_nothing(setting):
    outputs = setting.run("run", setting.configuration, "--seconds", "3", "--json")
    nothing_leaked(setting, outputs)
    told = json.loads(outputs["stdout"])
    assert len(told["parents"]) == 2 and told["orders"]["sent"] >= 2, outputs["stdout"].decode()
    assert setting.made(), "there were tokens and nonces to leak"
    assert any("journal" in name or name.endswith(".of") or "segment" in name for name in outputs), list(outputs)
    log = next(content for name, content in outputs.items() if name.endswith("seen/log"))
    assert b"httpx" in log and b"httpcore" in log, "libraries have logged"


def test_a_recording_leaks_nothing(setting):
    capture = setting.folder / "run/x.tsv.zst"
    setting.run_folder.mkdir()
    outputs = setting.run("record", setting.configuration, "-o", capture, "--seconds", "2")
    nothing_leaked(setting, outputs)
    assert len([name for name in outputs if name.endswith("unpacked")]) == 4


def test_a_refused_login_leaks_nothing(setting):
    setting.environment["ORDERFLOW_ALPHA_SECRET"] = CANARIES["a wrong secret"]
    wrong = base64.b64encode(CANARIES["a wrong secret"].encode()).decode()
    setting.write_keys(secret=wrong)
    setting.change("[engine]\n", "[engine]\nstart_timeout = 2\n")
    outputs = setting.run("run", setting.configuration, "--seconds", "0.5", "--json", code=CHECK_FAILED)
    found = hits(CANARIES | setting.made() | {"the wrong secret of the file": wrong}, outputs)
    assert not found, found
    assert b"the user stream was refused" in outputs["stdout"] and b"EAPI:Invalid signature" in outputs["stdout"]


QUOTING = """
from orderflow.servers import rest
answered = rest._answer

def quoting(found):
    sent = found.request
    if "API-Key" in sent.headers:
        said = f"{dict(sent.headers)} {sent.headers} {sent.url} {sent.content}, API-Key {sent.headers['API-Key']}"
        return rest.Answer(400, said.encode(), "")
    return answered(found)

rest._answer = quoting
"""


def test_an_exchange_that_quotes_the_request_in_its_complaint_leaks_nothing(setting):
    setting.before(QUOTING)
    setting.change("[engine]\n", "[engine]\nstart_timeout = 2\n")
    outputs = setting.run("run", setting.configuration, "--seconds", "0.5", "--json", code=CHECK_FAILED)
    found = hits(CANARIES | setting.made(), outputs)
    assert not found, found
    assert b"no token for the order connection" in outputs["stdout"] and b"***" in outputs["stdout"]


def test_a_login_that_is_never_answered_leaks_nothing(setting):
    """The connection opens and takes the login; nothing is heard of it."""
    setting.before("from orderflow.exchanges.binance import BinanceSession as Binance\n"
                   "Binance._order_frame = lambda self, message: []\n")
    setting.change("[engine]\n", "[engine]\nstart_timeout = 2\n")
    setting.change('[exchanges.alpha]\n', '[exchanges.alpha]\nlogin_seconds = 1\n')
    outputs = setting.run("run", setting.configuration, "--seconds", "2", "--json", code=CHECK_FAILED)
    nothing_leaked(setting, outputs)
    assert b"no answer in phase 'login'" in outputs["stdout"]


CRASHES = {
    "in the session, with the token in hand": """
from orderflow.exchanges.kraken import KrakenSession

def crash(self, request, status, body, unix_ns):
    credentials, headers = self.settings.credentials, dict(request.headers)
    raise RuntimeError(f"crashed with {self.settings} {credentials} {request}")

KrakenSession.answer = crash
""",
    "when it is all over": """
import orderflow.cli.run as run

def crash(engine, problems):
    keys = [session.settings.credentials.key for session in engine.sessions]
    raise RuntimeError(f"crashed with {keys} {[session.settings for session in engine.sessions]}")

run.document = crash
""",
}


@pytest.mark.parametrize("how", CRASHES)
def test_a_crash_leaks_nothing(one_setting, how):
    one_setting.before(CRASHES[how])
    one_setting.change("[engine]\n", "[engine]\nstart_timeout = 2\n")
    outputs = one_setting.run("run", one_setting.configuration, "--seconds", "1", code=None)
    said = nothing_leaked(one_setting, outputs)
    assert b"crashed with" in said and b"Traceback" in said and b"RuntimeError" in said


def test_a_file_that_cannot_be_used_and_the_doctor_leak_nothing(one_setting):
    outputs = one_setting.run("doctor", one_setting.configuration)
    said = nothing_leaked(one_setting, outputs)
    assert said.count(b"credentials") >= 4
    path = one_setting.folder / "keys/credentials.toml"
    path.chmod(0o644)
    nothing_leaked(one_setting, one_setting.run("run", one_setting.configuration, code=2))
    path.chmod(0o600)
    path.write_text(path.read_text().replace("[delta]", "[delta"))
    nothing_leaked(one_setting, one_setting.run("run", one_setting.configuration, code=2))


def test_the_demonstration_leaks_nothing(one_setting):
    from orderflow.research.simulation import VENUES, secret_of
    outputs = one_setting.run("demo", "--seconds", "3", "--json")
    found = hits({venue.name: secret_of(venue) for venue in VENUES}, outputs)
    assert not found, found
    assert len([name for name in outputs if "cmdline" in name]) >= 4, "each exchange is a process of its own"


# -- the search itself -------------------------------------------------------------------------------------------------

LEAKS = {
    "a log line": ("import logging; logging.getLogger('x').debug('login with %s', KEY)", "seen/log", "plain"),
    "a print": ("print(SECRET)", "stdout", "plain"),
    "a warning, in base 64": ("import sys, base64\n"
                              "print(base64.b64encode(('me:' + SECRET).encode()).decode(), file=sys.stderr)",
                              "stderr", "base 64 after 0"),
    "a URL": ("import logging, urllib.parse; logging.getLogger('y').info('GET /?key=' + urllib.parse.quote(OTHER, "
              "safe=''))", "seen/log", "URL-encoded"),
    "a dump": ("(FOLDER / 'run').mkdir(exist_ok=True); (FOLDER / 'run/core').write_text(SECRET.encode().hex())",
               "run/core", "hexadecimal"),
    "a traceback": ("raise RuntimeError(f'cannot log in with {SECRET}')", "stderr", "plain"),
    "a compressed capture": ("import zstandard; (FOLDER / 'run').mkdir(exist_ok=True)\n"
                             "(FOLDER / 'run/x.zst').write_bytes(zstandard.compress(SECRET.encode() * 3))",
                             "unpacked", "plain"),
    "a secret that shows itself": (
        "import orderflow.credentials as c, orderflow._core.secret as s\n"
        "c.Credentials.__repr__ = lambda self: s.reveal(self.secret)\n"
        "import orderflow.cli.run as r\n"
        "made = r.session_of\n"
        "def session_of(*given, **options):\n"
        "    one = made(*given, **options)\n"
        "    print(one.settings)\n"
        "    return one\n"
        "r.session_of = session_of\n", "stdout", "plain"),
    "the library's logger, unredacted": (
        "import logging, orderflow.servers.rest\n"
        "for name in ('httpx',): logging.getLogger(name).filters.clear()\n"
        "import orderflow.exchanges.kraken as k, urllib.parse\n"
        "def metadata(self):\n"
        "    key = urllib.parse.quote(k.reveal(self.settings.credentials.key), safe='')\n"
        "    return [k.Request('AssetPairs', 'GET', self.rest + '/0/public/AssetPairs?apiKey=' + key)]\n"
        "k.KrakenSession.metadata = metadata\n", "seen/log", "URL-encoded"),
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_leak_on_purpose_is_found(one_setting, how):
    code, where, form = LEAKS[how]
    one_setting.before(f"KEY, SECRET, OTHER = {ALPHA['key']!r}, {ALPHA['secret']!r}, {GAMMA['key']!r}\n{code}")
    outputs = one_setting.run("run", one_setting.configuration, "--seconds", "0.5", code=None)
    found = hits(CANARIES, outputs)
    assert [one for one in found if one[0].endswith(where) and one[2].startswith(form)], (found, outputs["stderr"])


def test_a_secret_on_the_command_line_is_found(one_setting):
    outputs = one_setting.run("run", ALPHA["secret"], code=2)
    found = {Path(where).stem for where, _, _ in hits(CANARIES, outputs)}
    assert found >= {"cmdline", "stderr"}


def test_every_form_is_found():
    for text in ("a secret of some length", b"\x00\xff" * 12):
        raw = text if isinstance(text, bytes) else text.encode()
        for shift in range(3):
            for tail in (b"", b"x", b"xy", b"xyz"):
                encoded = base64.b64encode(b"z" * shift + raw + tail)
                assert any(form in encoded for form in forms(text).values())
    assert hits({"a": "0123456789abcdef"}, {"nothing": b"0123456789abcdee"}) == []


SUITE = """
import logging
from orderflow.credentials import Credentials

def test_quiet():
    logging.getLogger("x").debug("%s", Credentials("CanaryKeyOfTheSuite", "CanarySecretOfTheSuite"))

def test_logs():
    Credentials("CanaryKeyOfTheSuite", "CanarySecretOfTheSuite")
    logging.getLogger("x").debug("signed with CanarySecretOfTheSuite")

def test_prints():
    Credentials("CanaryKeyOfTheSuite", "CanarySecretOfTheSuite")
    print(b"CanaryKeyOfTheSuite".hex())
"""


def test_the_suite_itself_is_searched(tmp_path):
    """tests/leaks.py at work on tests of which two leak."""
    (tmp_path / "test_some.py").write_text(SUITE)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "tests.leaks", "-o", "log_level=DEBUG", "-rA",
                           "--rootdir", tmp_path, "test_some.py"],
                          env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "3 passed, 2 errors" in done.stdout, done.stdout
    assert "ERROR test_some.py::test_logs" in done.stdout and "ERROR test_some.py::test_prints" in done.stdout

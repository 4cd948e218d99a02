"""Where credentials come from, in which order, and what is said when they cannot be used; never what they are."""
import json
import os
import sys
import time
import traceback
import types
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from orderflow._core.doorbell import Doorbell
from orderflow._core.secret import Secret, hand_over, reveal
from orderflow.cli import BAD_USAGE, main
from orderflow.cli.sessions import session_of
from orderflow.config import load, parse
from orderflow.credentials import Credentials, CredentialsError, find
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.limits import Limits
from orderflow.research.simulation import limits_of
from orderflow.servers.sync import SyncServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.launch import SimulatorSettings, start_thread

FILE = '[alpha]\nkey = "file-key-1"\nsecret = "file-secret-1"\npassphrase = "file-pass-1"\n'


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No credentials of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("ORDERFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path):
    """A function: text -> path of a file that only its owner may read."""
    def write(text=FILE, mode=0o600):
        path = tmp_path / "credentials.toml"
        path.write_text(text)
        path.chmod(mode)
        return path
    return write


@pytest.fixture
def keyring(monkeypatch):
    """A keyring with these passwords, by (service, user); it records what it is asked."""
    found = types.SimpleNamespace(passwords={}, asked=[])

    def get_password(service, user):
        found.asked.append((service, user))
        return found.passwords.get((service, user))

    monkeypatch.setitem(sys.modules, "keyring", types.SimpleNamespace(get_password=get_password))
    return found


def with_locals(error):
    """The traceback as a debugger shows it, with the local variables of all frames but the test's own."""
    error.__traceback__ = error.__traceback__.tb_next
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def texts(credentials):
    return [part and reveal(part) for part in (credentials.key, credentials.secret, credentials.passphrase)]


def test_the_first_place_that_has_any_counts(monkeypatch, file, keyring):
    path = str(file())
    assert find("alpha") is None and find("beta", path, keyring=True) is None
    assert texts(find("alpha", path)) == ["file-key-1", "file-secret-1", "file-pass-1"]
    assert find("alpha", path).source == path
    keyring.passwords = {("orderflow", "ALPHA_KEY"): "ring-key", ("orderflow", "ALPHA_SECRET"): "ring-secret"}
    keyring.asked.clear()
    assert texts(find("alpha", path))[0] == "file-key-1" and not keyring.asked, "asked although nobody wanted that"
    assert texts(find("alpha", path, keyring=True)) == ["ring-key", "ring-secret", None]
    assert find("alpha", path, keyring=True).source == "the keyring"
    monkeypatch.setenv("ORDERFLOW_ALPHA_KEY", "env-key")
    monkeypatch.setenv("ORDERFLOW_ALPHA_SECRET", "env-secret")
    assert texts(find("alpha", path, keyring=True)) == ["env-key", "env-secret", None]
    assert find("alpha", path, keyring=True).source == "the environment"


def test_an_object_comes_first(monkeypatch):
    monkeypatch.setenv("ORDERFLOW_ALPHA_KEY", "env-key")
    given = Credentials("a-key", "a-secret")
    session = session_for("coinbase", SessionSettings("alpha", credentials=given))
    assert session.settings.credentials is given and given.source == "the program"


def test_places_are_never_mixed(monkeypatch, file, keyring):
    monkeypatch.setenv("ORDERFLOW_ALPHA_SECRET", "env-secret")
    with pytest.raises(CredentialsError, match="^exchanges.alpha: the environment has no ORDERFLOW_ALPHA_KEY$"):
        find("alpha", str(file()))
    monkeypatch.delenv("ORDERFLOW_ALPHA_SECRET")
    keyring.passwords = {("orderflow", "ALPHA_KEY"): "ring-key"}
    with pytest.raises(CredentialsError, match="the keyring has no ALPHA_SECRET; keyring set orderflow ALPHA_SECRET$"):
        find("alpha", str(file()), keyring=True)
    path = file('[alpha]\nsecret = "file-secret-1"\n')
    with pytest.raises(CredentialsError, match=r"credentials.toml: \[alpha\] has no `key`$"):
        find("alpha", str(path))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o660])
def test_a_file_that_others_may_use_is_refused_with_the_command_to_run(file, mode):
    path = file(mode=mode)
    with pytest.raises(CredentialsError, match=f"others may use it; run: chmod 600 {path}$"):
        find("alpha", str(path))
    path.chmod(0o400)
    assert find("alpha", str(path)) is not None


def test_the_command_can_be_pasted(tmp_path):
    path = tmp_path / "my keys.toml"
    path.write_text(FILE)
    path.chmod(0o644)
    with pytest.raises(CredentialsError, match=f"chmod 600 '{path}'$"):
        find("alpha", str(path))


def test_a_link_a_pipe_and_a_folder_are_no_files(file, tmp_path):
    path = file()
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(path)
    os.mkfifo(pipe, 0o600)
    with pytest.raises(CredentialsError, match="is a symbolic link; name the file itself$"):
        find("alpha", str(link))
    for other in (pipe, tmp_path):
        with pytest.raises(CredentialsError, match="is not a regular file$"):
            find("alpha", str(other))
    with pytest.raises(CredentialsError, match="cannot be read: No such file or directory$"):
        find("alpha", str(tmp_path / "nothing"))


def test_a_file_of_somebody_else_is_refused(file, monkeypatch):
    path = file()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(CredentialsError, match="belongs to another user"):
        find("alpha", str(path))


def test_the_descriptor_is_judged_and_not_the_name(file, tmp_path, monkeypatch):
    """Somebody who swaps the file after it was opened wins nothing: what is judged is what is read."""
    path = file(mode=0o644)
    opened = os.open

    def swap(name, *arguments):
        descriptor = opened(name, *arguments)
        good.replace(path)
        return descriptor

    good = tmp_path / "good"
    good.touch(mode=0o600)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(CredentialsError, match="others may use it"):
        find("alpha", str(path))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("text", "told"), [
    ('[alpha]\nkey = "CANARY\n', r"not TOML \(line 2\)"), ("CANARY-1", "not TOML"), ('alpha = "CANARY"\n', "tables"),
    ('[alpha]\nCANARY = "x"\n', "something else than text for key, secret, passphrase"),
    ("[alpha]\nkey = 12345\n", "something else than text"), ("[alpha]\nkey = '\xff'\n".encode("latin1"), "not TOML"),
    (f'[alpha]\nkey = "{"CANARY" * 3000}"\n', "longer than 16384"), ("#" * 70000, "larger than 65536 bytes"),
])
def test_what_is_wrong_with_a_file_is_told_without_a_word_of_it(file, text, told):
    path = file("")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CredentialsError, match=told) as caught:
        find("alpha", str(path))
    assert "CANARY" not in with_locals(caught.value) and caught.value.__context__ is None


def test_what_a_keyring_raises_is_told_without_its_words(keyring, monkeypatch):
    def locked(service, user):
        text = "CANARY"
        raise RuntimeError(text)

    monkeypatch.setattr(sys.modules["keyring"], "get_password", locked)
    with pytest.raises(CredentialsError, match=r"the keyring cannot be read \(RuntimeError\)") as caught:
        find("alpha", keyring=True)
    assert "CANARY" not in with_locals(caught.value)


def test_a_keyring_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(CredentialsError, match=r"pip install 'orderflow\[keyring\]'"):
        find("alpha", keyring=True)


def test_a_configuration_names_one_file_for_all_or_one_each(file, tmp_path, capsys):
    path = file(FILE + FILE.replace("alpha", "beta").replace("file-", "other-"))
    own = tmp_path / "own.toml"
    own.write_text(FILE.replace("alpha", "beta").replace("file-", "own-"))
    own.chmod(0o640)
    configuration = tmp_path / "engine.toml"
    configuration.write_text(
        f'[engine]\ncredentials = "{path}"\n'
        '[exchanges.alpha]\nprotocol = "coinbase"\nsymbols = ["BTC-USD"]\nrest = "http://127.0.0.1:9"\n'
        f'[exchanges.beta]\nprotocol = "coinbase"\nsymbols = ["BTC-USD"]\ncredentials = "{own}"\n')
    settings = load(configuration)
    alpha = session_of("alpha", settings.exchanges["alpha"], False, engine=settings.engine)
    assert texts(alpha.settings.credentials)[0] == "file-key-1" and alpha.channels[0] == "level2"
    assert main(["watch", str(configuration), "--seconds", "1"]) == BAD_USAGE
    assert capsys.readouterr().err == (
        f"orderflow: exchanges.beta.credentials: {own}: others may use it; run: chmod 600 {own}\n")
    own.chmod(0o600)
    beta = session_of("beta", settings.exchanges["beta"], False, engine=settings.engine)
    assert texts(beta.settings.credentials)[0] == "own-key-1"


def test_no_command_takes_a_secret(capsys):
    from orderflow.cli.application import COMMANDS
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        options = [word.strip(",│") for word in capsys.readouterr().out.split() if word.startswith("--")]
        assert not [one for one in options if any(part in one for part in ("key", "secret", "pass", "token", "cred"))]


def test_settings_show_no_credentials():
    given = Credentials("CANARY-key", "CANARY-secret", "CANARY-pass")
    settings = SessionSettings("alpha", credentials=given)
    session = session_for("kraken_v2", settings)
    shown = repr(settings) + str(given) + f"{given!r} {given.secret} {[given.key]}" + repr(vars(session))
    assert "CANARY" not in shown and given.key.fingerprint() in shown and "Secret(***)" in shown
    parsed = parse({"engine": {"credentials": "x"}, "exchanges": {"a": {"protocol": "kraken_v2", "symbols": ["A/B"]}}})
    assert parsed.engine.credentials == "x", "a path, not what is in it"


def test_another_process_takes_them_over():
    there, here = os.pipe()
    for given in (Credentials("a-key", "a-secret", "a-pass"), Credentials("a-key", "a-secret")):
        given.hand_over(here)
        taken = Credentials.taken_over(there)
        assert texts(taken) == texts(given) and taken.source == "another process of ours"
    hand_over(None, here)
    hand_over(Secret("a-secret"), here)
    hand_over(None, here)
    with pytest.raises(CredentialsError, match="no credentials"):
        Credentials.taken_over(there)
    os.close(here)
    with pytest.raises(EOFError):
        Credentials.taken_over(there)
    os.close(there)


def test_nonces_only_grow():
    one = Credentials("key", "secret")
    assert [one.nonce(unix_ns) for unix_ns in (5_000, 5_000, 4_000, 9_000)] == [5, 6, 7, 9]


@pytest.mark.parametrize("form", ["PEM", "base 64"])
def test_an_ed25519_key_trades(form):
    """The exchange knows the public half alone; every login and every order is verified with it."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM,
                                           serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    account = AccountSettings("a-key", public_key=public, balances={"BTC": "10", "USDT": "1000000"})
    exchange = start_thread(SimulatorSettings("alpha", "binance_spot", seed=3, accounts=(account,),
                                              origin_ns=time.time_ns() - 5 * 10**9))
    port = exchange.ports.plain
    text = private if form == "PEM" else "".join(private.splitlines()[1:-1])
    session = session_for("binance_spot", SessionSettings(
        "alpha", rest=f"http://127.0.0.1:{port}", stream=f"ws://127.0.0.1:{port}", symbols=("BTCUSDT",), trade=True,
        orders=f"ws://127.0.0.1:{port}/ws-api/v3", credentials=Credentials("a-key", text)))
    limits = limits_of({"BTC-USDT": Limits("10", "1", "1000000")})
    try:
        with Engine([session], SyncServer(Doorbell(), print), limits=limits) as engine:
            parent = engine.wait(engine.submit("BTC-USDT", "buy", "0.01", seconds=10))
            assert parent.filled == Decimal("0.01"), parent
    finally:
        exchange.stop()


def test_the_doctor_says_where_credentials_come_from(file, tmp_path, monkeypatch, capsys):
    configuration = tmp_path / "engine.toml"
    configuration.write_text(
        f'[engine]\ncredentials = "{file()}"\ndirectory = "x"\n[limits."BTC-USDT"]\nmaximum_position = 1\n'
        'maximum_order_quantity = 1\nmaximum_order_notional = 1\n' + "".join(
            f'[exchanges.{name}]\nprotocol = "binance_spot"\nsymbols = ["BTCUSDT"]\ntrade = {trade}\n'
            for name, trade in (("alpha", "true"), ("beta", "true"), ("gamma", "false"), ("delta", "true"))))
    monkeypatch.setenv("ORDERFLOW_BETA_KEY", "env-key-1")
    monkeypatch.setenv("ORDERFLOW_BETA_SECRET", "env-secret-1")
    assert main(["doctor", str(configuration), "--json"]) == 1, "delta is to trade, with nothing"
    printed = capsys.readouterr().out
    found = {name: check["detail"] for name, check in json.loads(printed)["checks"].items() if "credentials" in name}
    fingerprints = {text: Secret(text).fingerprint() for text in ("file-key-1", "file-secret-1", "file-pass-1",
                                                                  "env-key-1", "env-secret-1")}
    assert found["credentials of alpha"] == (
        f"from {tmp_path / 'credentials.toml'}: key {fingerprints['file-key-1']}, "
        f"secret {fingerprints['file-secret-1']}, passphrase {fingerprints['file-pass-1']}")
    assert found["credentials of beta"] == (
        f"from the environment: key {fingerprints['env-key-1']}, secret {fingerprints['env-secret-1']}")
    assert found["credentials of gamma"].startswith("none") and found["credentials of delta"].startswith("none, and")
    assert not any(text in printed for text in fingerprints)
    file(mode=0o640)
    assert main(["doctor", str(configuration)]) == 1
    assert "chmod 600" in capsys.readouterr().out

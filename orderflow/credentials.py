"""Credentials of an account, and the places that they come from:

    an object that the program makes  >  environment  >  keyring, where the configuration wants it  >  a file it names

The first place that has anything for an exchange counts, and must have all of it: two places are never mixed. No
command takes a secret as an argument, where every user of the machine could read it. Whatever text a secret had on its
way here is dropped before the caller goes on, and no exception of this file carries any of it.
"""
from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import tomllib
from collections.abc import Callable, Mapping

from orderflow._core.secret import Secret, hand_over, take_over
from orderflow.redaction import redacted

#: Of an account; the passphrase only where an exchange has one.
PARTS = ("key", "secret", "passphrase")
#: Name of the service in a keyring; the user name is that of the environment, without ORDERFLOW_.
SERVICE = "orderflow"
#: A file of credentials is not larger.
LARGEST_FILE = 65536


class CredentialsError(ValueError):
    """No credentials, or not such that may be used; one line that says what to do and shows none of them."""


class Credentials:
    """Key and secret of an account, and the passphrase where an exchange has one.

    Parameters
    ----------
    key, secret : Secret or str
    passphrase : Secret or str, optional
    source : str
        Where they come from, in words: "the environment".
    """

    __slots__ = ("_last_nonce", "key", "passphrase", "secret", "source")

    def __init__(self, key: Secret | str, secret: Secret | str, passphrase: Secret | str | None = None,
                 source: str = "the program"):
        self.key = _taken(key)
        self.secret = _taken(secret)
        self.passphrase = _taken(passphrase) if passphrase else None
        self.source = source
        self._last_nonce = 0

    def nonce(self, unix_ns: int) -> int:
        """Microseconds of the clock, and more than ever before: an exchange refuses a key whose number goes back.
        Whoever signs with one key must ask one object. Control thread only."""
        self._last_nonce = max(self._last_nonce + 1, unix_ns // 1000)
        return self._last_nonce

    def hand_over(self, descriptor: int) -> None:
        """Write them into a pipe to another process of ours, natively; `taken_over` reads them there."""
        for part in (self.key, self.secret, self.passphrase):
            hand_over(part, descriptor)

    @classmethod
    def taken_over(cls, descriptor: int) -> Credentials:
        """Those that `hand_over` wrote at the other end of the pipe; EOFError where it ended before."""
        key, secret, passphrase = (take_over(descriptor) for _ in PARTS)
        if key is None or secret is None:
            raise CredentialsError("what came through the pipe are no credentials")
        return cls(key, secret, passphrase, "another process of ours")

    def redact(self, text: str) -> str:
        """The text with *** wherever a part of these credentials stood in it, or something named like one."""
        for part in (self.key, self.secret, self.passphrase):
            if part is not None:
                text = part.redact(text)
        return redacted(text)

    def __deepcopy__(self, memo: object) -> Credentials:
        """Itself: sessions that are doubled sign with one key, so they count its nonces together."""
        return self

    def __repr__(self) -> str:
        return f"Credentials(key {self.key.fingerprint()}, from {self.source})"


def _taken(text: Secret | str) -> Secret:
    return text if isinstance(text, Secret) else Secret(text)


def find(name: str, file: str = "", keyring: bool = False) -> Credentials | None:
    """Credentials of the exchange of that name in a configuration, from the first place that has any; None = nowhere.

    Parameters
    ----------
    name : str
    file : str
        TOML file with a table of that name: key, secret, passphrase. Empty = there is none.
    keyring : bool
        Whether to ask the keyring of the operating system (`pip install 'orderflow[keyring]'`).

    Raises
    ------
    CredentialsError
        A place has a part of them only, or may not or cannot be read.
    """
    places: list[Callable[[], Credentials | None]] = [lambda: _from_environment(name)]
    if keyring:
        places.append(lambda: _from_keyring(name))
    if file:
        places.append(lambda: _from_file(name, os.path.expanduser(file)))
    return next((found for place in places if (found := place()) is not None), None)


def variable(name: str, part: str) -> str:
    """The environment variable of a part."""
    return f"ORDERFLOW_{name.upper()}_{part.upper()}"


def _whole(parts: Mapping[str, Secret], source: str, missing: Callable[[str], str]) -> Credentials | None:
    """Credentials of what a place had; CredentialsError when that was not enough."""
    if not parts:
        return None
    for part in ("key", "secret"):
        if part not in parts:
            raise CredentialsError(missing(part))
    return Credentials(parts["key"], parts["secret"], parts.get("passphrase"), source)


def _from_environment(name: str) -> Credentials | None:
    parts = {part: Secret(os.environ[variable(name, part)]) for part in PARTS if os.environ.get(variable(name, part))}
    return _whole(parts, "the environment",
                  lambda part: f"exchanges.{name}: the environment has no {variable(name, part)}")


def _from_keyring(name: str) -> Credentials | None:
    try:
        import keyring
    except ImportError:
        raise CredentialsError("engine.keyring: keyring is not installed; pip install 'orderflow[keyring]'") from None
    users = {part: variable(name, part).removeprefix("ORDERFLOW_") for part in PARTS}
    parts, failed = _asked(keyring.get_password, users)
    if failed:
        raise CredentialsError(f"engine.keyring: the keyring cannot be read ({failed}); is it unlocked?")
    return _whole(parts, "the keyring", lambda part: f"exchanges.{name}: the keyring has no {users[part]}; "
                                                     f"keyring set {SERVICE} {users[part]}")


def _asked(get_password: Callable[[str, str], str | None], users: Mapping[str, str]) -> tuple[dict[str, Secret], str]:
    """Parts and "", or nothing and the name of what was raised: whatever a backend raises, its traceback may hold what
    it has read."""
    try:
        return {part: Secret(text) for part, user in users.items() if (text := get_password(SERVICE, user))}, ""
    except Exception as error:
        return {}, type(error).__name__


def _from_file(name: str, path: str) -> Credentials | None:
    where = f"exchanges.{name}.credentials: {path}"
    raw = _read(where, path)
    try:
        parts, wrong = _parsed(name, raw)
    finally:
        raw[:] = bytes(len(raw))
    if wrong:
        raise CredentialsError(f"{where}: {wrong}")
    return _whole(parts, path, lambda part: f"{where}: [{name}] has no `{part}`")


def _read(where: str, path: str) -> bytearray:
    """What the file holds, when nobody else can read it: judged by the descriptor that is read, not by the name, which
    may name another file a moment later."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "is a symbolic link; name the file itself" if error.errno == errno.ELOOP else error.strerror
        raise CredentialsError(f"{where}: cannot be read: {why}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CredentialsError(f"{where}: is not a regular file")
        if found.st_uid != os.geteuid():
            raise CredentialsError(f"{where}: belongs to another user; whoever runs orderflow must own it")
        if found.st_mode & 0o077:
            raise CredentialsError(f"{where}: others may use it; run: chmod 600 {shlex.quote(path)}")
        if found.st_size > LARGEST_FILE:
            raise CredentialsError(f"{where}: is larger than {LARGEST_FILE} bytes")
        raw = bytearray(LARGEST_FILE + 1)
        size = 0
        while size < len(raw) and (count := os.readv(descriptor, [memoryview(raw)[size:]])):
            size += count
        return raw[:size]
    finally:
        os.close(descriptor)


def _parsed(name: str, raw: bytearray) -> tuple[dict[str, Secret], str]:
    """Parts of one exchange and "", or nothing and what is wrong. It does not raise: a traceback would hold the text.
    Of a file that nobody else may read, not even the names are told."""
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line (\d+)", str(error))
        return {}, f"not TOML (line {line[1]})" if line else "not TOML"
    table = document.get(name, {})
    if not isinstance(table, dict):
        return {}, f"expected tables, as [{name}]"
    if table.keys() - set(PARTS) or not all(isinstance(text, str) for text in table.values()):
        return {}, f"[{name}] holds something else than text for {', '.join(PARTS)}"
    try:
        return {part: Secret(text) for part, text in table.items() if text}, ""
    except ValueError as error:
        return {}, f"[{name}]: {error}"

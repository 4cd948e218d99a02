"""What `orderflow doctor` looks at. Every check is tried, never assumed: a borrowed connection moves real bytes."""
from __future__ import annotations

import os
import platform
import resource
import socket
import ssl
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orderflow.config import Settings

CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
GOOD_CLOCK_SOURCES = ("tsc", "kvm-clock", "arch_sys_counter")
DESCRIPTORS = 1024              # sockets, eventfds and files of a large engine, with room to spare
JOURNAL_SEGMENT = 64 << 20      # address space that the journal maps at a time
SLOW_CLOCK_NS = 1000            # of one reading from Python; above, the kernel is asked each time
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `state` is "good", "warning" (it works, but worse) or "bad" (orderflow does not work here)."""

    name: str
    state: str
    detail: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """All checks; one that breaks is itself a finding."""
    for check in CHECKS:
        try:
            yield check()
        except Exception as error:      # a doctor does not die of what the patient has
            yield Finding(check.__name__.removeprefix("_").replace("_", " "), "bad",
                          f"the check failed: {type(error).__name__}: {error}")


def credentials(settings: Settings) -> Iterator[Finding]:
    """Of each exchange of a configuration: where its credentials would come from, and their fingerprints."""
    from orderflow.credentials import PARTS, CredentialsError, find, variable

    for name, exchange in settings.exchanges.items():
        called = f"credentials of {name}"
        try:
            found = find(name, exchange.credentials or settings.engine.credentials, settings.engine.keyring)
        except CredentialsError as error:
            yield Finding(called, "bad", str(error))
            continue
        if found is not None:
            parts = [f"{part} {getattr(found, part).fingerprint()}" for part in PARTS if getattr(found, part)]
            yield Finding(called, "good", f"from {found.source}: {', '.join(parts)}")
        elif exchange.trade:
            yield Finding(called, "bad", "none, and it is to trade",
                          f"set {variable(name, 'key')} and {variable(name, 'secret')}, or name a file in "
                          f"exchanges.{name}.credentials")
        else:
            yield Finding(called, "good", "none; public market data needs none")


def _python() -> Finding:
    name = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Finding("python", "bad", name, "orderflow needs Linux: eventfd, epoll and process_vm_readv")
    if bool(sysconfig.get_config_var("Py_GIL_DISABLED")):
        return Finding("python", "warning", f"{name}, free-threaded", "TLS connections cannot be borrowed there")
    if platform.python_implementation() != "CPython" or not (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Finding("python", "warning", name, "TLS connections are borrowed on CPython 3.11 to 3.14 only")
    return Finding("python", "good", name)


def _native_code() -> Finding:
    import orderflow._core.loops as loops

    return Finding("native code", "good", str(Path(loops.__file__).parent))


def _tls() -> Finding:
    """A connection of our own over loopback, borrowed, with bytes through it both ways."""
    from orderflow._core.transport import BorrowedTransport
    from orderflow.simulator.certificates import Authority

    with Authority() as authority, socket.create_server(("127.0.0.1", 0)) as listener:
        echo = threading.Thread(target=_echo, args=(listener, authority.server_context()))
        echo.start()
        try:
            with authority.client_context().wrap_socket(
                    socket.create_connection(listener.getsockname(), TIMEOUT), server_hostname="127.0.0.1") as client:
                transport = BorrowedTransport(client)
                reason = transport.fallback_reason
                transport.send_all(b"ping")
                answer = transport.receive(4, int(TIMEOUT * 1000))
                transport.release()
        finally:
            echo.join(TIMEOUT)
    if answer != b"ping":
        return Finding("tls", "bad", f"{ssl.OPENSSL_VERSION}: what was sent did not come back")
    if reason:
        return Finding("tls", "warning", f"{ssl.OPENSSL_VERSION}: reads need the GIL ({reason})",
                       "live trading on the sync server needs allow_gil_transport = true, and is slower")
    return Finding("tls", "good", f"{ssl.OPENSSL_VERSION}: connections are read without the GIL")


def _echo(listener: socket.socket, context: ssl.SSLContext) -> None:
    listener.settimeout(TIMEOUT)
    plain, _ = listener.accept()
    plain.settimeout(TIMEOUT)
    with context.wrap_socket(plain, server_side=True) as server:
        server.sendall(server.recv(4))


def _signing() -> Finding:
    """RFC 4231 section 4.3, test case 2."""
    from orderflow._core.signing import Signer

    signature = Signer.hmac_sha256("Jefe").sign("what do ya want for nothing?")
    if signature != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843":
        return Finding("signing", "bad", f"HMAC-SHA256 gave {signature}")
    return Finding("signing", "good", "HMAC-SHA256 through the interpreter's libcrypto")


def _processors() -> Finding:
    allowed = sorted(os.sched_getaffinity(0))
    detail = f"{len(allowed)} of {os.cpu_count()} may be used"
    features = _features()
    if features:
        detail += f"; {', '.join(features)}"
    if len(allowed) < 2:
        return Finding("processors", "warning", detail, 'use layout = "fused"')
    return Finding("processors", "good", detail)


def _features() -> list[str]:
    """Of those that fast parsing, hashing and masking can use."""
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split()
    except OSError:
        return []
    return [name for name in ("sse4_2", "pclmulqdq", "avx2", "bmi2", "avx512bw", "sha_ni") if name in flags]


def _clock() -> Finding:
    try:
        source = CLOCK_SOURCE.read_text().strip()
    except OSError:
        source = "unknown"
    readings = [time.perf_counter_ns() for _ in range(2001)]
    cost_ns = sorted(after - before for before, after in zip(readings, readings[1:], strict=False))[1000]
    detail = f"source {source}, one reading {cost_ns} ns"
    if source not in (*GOOD_CLOCK_SOURCES, "unknown") or cost_ns > SLOW_CLOCK_NS:
        return Finding("clock", "warning", detail, "time stamps are slow here: prefer the kernel's clocksource tsc")
    return Finding("clock", "good", detail)


def _limits() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    locked = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    written = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    detail = (f"{_bound(soft)} descriptors, {_bound(locked, 10)} KiB locked memory, "
              f"{memory / (1 << 30):.1f} GiB memory")
    if written != resource.RLIM_INFINITY and written < JOURNAL_SEGMENT:
        return Finding("limits", "bad", detail, f"files may grow to {written} bytes only: raise ulimit -f")
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        return Finding("limits", "warning", detail, f"raise ulimit -n to {DESCRIPTORS} (at most {_bound(hard)} here)")
    return Finding("limits", "good", detail)


def _bound(value: int, shift: int = 0) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value >> shift)


def _dependencies() -> Finding:
    from importlib.metadata import version

    names = ("numpy", "websocket-client", "picows", "httpx", "msgspec", "cryptography")
    return Finding("dependencies", "good", ", ".join(f"{name} {version(name)}" for name in names))


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python, _native_code, _tls, _signing, _processors, _clock, _limits, _dependencies)

"""REST for the sync and async servers: one place that decides time-outs, trust and what an error looks like."""
from __future__ import annotations

import queue
import ssl
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import httpx

from orderflow.exchanges.actions import Request
from orderflow.redaction import redact_loggers, redacted
from orderflow.servers.blocking import BlockingCalls
from orderflow.servers.connect import explain, is_loopback
from orderflow.servers.hosts import PATIENCE_S, Answer, Hosts

TIMEOUT = 10.0
#: What Binance has counted of an address in the last minute.
USED_WEIGHT = "x-mbx-used-weight-1m"
#: Calls to one host at once.
AT_ONCE = 4
#: Who waits for a host looks so often whether it may be asked again.
LOOK_S = 1.0
#: Calls that run when everything ends may take so long.
LEAVE_S = 1.0
#: What is meant for this machine goes to no proxy: unencrypted, it would be read there.
DIRECT = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}

redact_loggers("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "websocket",
               "asyncio")


def trust(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are verified always; `ca_file` names the only authorities to trust (a simulator's own)."""
    return ssl.create_default_context(cafile=ca_file)


def client(ca_file: str | None, timeout: float = TIMEOUT) -> httpx.Client:
    """A blocking client. `timeout`: seconds for each of connect, write and read."""
    return httpx.Client(verify=trust(ca_file), timeout=timeout, trust_env=ca_file is None, mounts=DIRECT)


def async_client(ca_file: str | None, timeout: float = TIMEOUT) -> httpx.AsyncClient:
    """A client for the event loop."""
    return httpx.AsyncClient(verify=trust(ca_file), timeout=timeout, trust_env=ca_file is None, mounts=DIRECT)


def _refusal(error: Exception, request: Request, timeout: float | None) -> Answer:
    reason: object = error or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        phase = "connect" if isinstance(error, httpx.ConnectTimeout) else "answer"
        reason = f"no answer in phase {phase!r} within {timeout:g} s"
    elif isinstance(error, httpx.ConnectError) and (met := _met(error)) is not None:
        reason = explain(met, urlsplit(request.url).netloc, "connect", timeout or 0.0)
    return Answer(0, f"{request.method} {request.url.partition('?')[0]}: {reason}".encode())


def _met(error: BaseException | None) -> OSError | None:
    """What the operating system or TLS said, below the exceptions of the HTTP client."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _answer(found: httpx.Response) -> Answer:
    return Answer(found.status_code, found.content, found.headers.get("retry-after", ""),
                  found.headers.get(USED_WEIGHT, ""))


def _check_url(url: str) -> None:
    """As of websockets: unencrypted to this machine only."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise httpx.UnsupportedProtocol(f"{parts.scheme}:// is not encrypted and reaches loopback only, not "
                                        f"{parts.hostname}; use https://")


def call(using: httpx.Client, request: Request) -> Answer:
    """Make it; never raises."""
    try:
        _check_url(request.url)
        return _answer(using.request(request.method, request.url, headers=dict(request.headers),
                                     content=request.body or None))
    except Exception as error:      # not only httpx's own: the client may be closed while a call hangs in it
        return _refusal(error, request, using.timeout.read)


async def call_async(using: httpx.AsyncClient, request: Request) -> Answer:
    """The same from an event loop."""
    try:
        _check_url(request.url)
        return _answer(await using.request(request.method, request.url, headers=dict(request.headers),
                                           content=request.body or None))
    except Exception as error:      # as above: whatever it is, the caller waits for an answer
        return _refusal(error, request, using.timeout.read)


def fetch_now(using: httpx.Client, requests: Sequence[Request], hosts: Hosts, timeout: float,
              clock: Callable[[], int] = time.monotonic_ns,
              wait: Callable[[float], None] = time.sleep) -> dict[str, bytes]:
    """Bodies by purpose, for what is needed before anything runs.

    A host that asks to be left alone is left alone, and asked again, unless that takes too long. `timeout` is that of
    the client; `clock` gives monotonic nanoseconds, and `wait` lets seconds pass on it.

    Raises
    ------
    ConnectionError
        There was no answer, or not the one that is needed; the message names the URL.
    """
    answers: queue.SimpleQueue[tuple[Request, Answer]] = queue.SimpleQueue()
    calls = BlockingCalls(AT_ONCE)
    patience_s = PATIENCE_S + 3 * timeout
    for request in requests:
        calls.submit(urlsplit(request.url).netloc, lambda request=request: answers.put(     # type: ignore[misc]
            (request, _call_patiently(using, request, hosts, clock, wait))))
    bodies: dict[str, bytes] = {}
    try:
        while len(bodies) < len(requests):
            request, answer = answers.get(timeout=patience_s)
            if answer.status != 200:
                raise ConnectionError(_told(request, answer))
            bodies[request.purpose] = answer.body
    except queue.Empty:
        missing = next(request.url for request in requests if request.purpose not in bodies)
        raise ConnectionError(f"{missing}: no answer within {patience_s:g} s; does the name resolve?") from None
    finally:
        calls.stop(LEAVE_S)
    return bodies


def _told(request: Request, answer: Answer) -> str:
    """One sentence on an answer that is none; where the exchange refuses what was asked for, what may be wrong."""
    shown = answer.body[:200].decode(errors="replace")
    if not answer.status:
        return shown            # names the URL itself
    hint = "; check `protocol`, `symbols` and `rest`" if answer.status in (400, 404) else ""
    return redacted(f"{request.url}: {shown} (status {answer.status}){hint}")


def _call_patiently(using: httpx.Client, request: Request, hosts: Hosts, clock: Callable[[], int],
                    wait: Callable[[float], None]) -> Answer:
    waited = 0.0
    while True:
        while at_ns := hosts.request(request.url, None, clock(), request.weight):
            left = max(0.0, (at_ns - clock()) / 1e9)
            if waited + left > PATIENCE_S:
                return Answer(0, f"{request.url.partition('?')[0]}: the exchange asks to be left alone for "
                                 f"{left:.0f} s more; try again then".encode())
            wait(min(left, LOOK_S))
            waited += min(left, LOOK_S)
        answer = call(using, request)
        if not hosts.answered(request.url, answer.status, answer.retry_after, clock(), time.time_ns()):
            return answer

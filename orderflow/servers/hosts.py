"""What each host allows this process: how often it may be connected to and asked, and when it must be left alone.

Exchanges count by address, so all exchanges, servers and threads of a process share one `HOSTS`. A refusal (429, and
Binance's 418; 503) stops every REST call to its host for as long as its Retry-After says, or else for a pause that
doubles, with jitter. Then one call goes alone: what waits follows when that was answered, at the pace of the limit.

Where requests about orders count by address as well (Binance), the host has a limit that exchange threads draw on too,
without asking anybody here. Calls leave a fifth of it, as orders do, and those for books half: cancels may use all.
When the host refuses a call for the sake of its limits, nothing more leaves for it over any connection.
"""
from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from orderflow._core.rate_limit import SharedRateLimit
from orderflow.exchanges.facts import Limit
from orderflow.servers.token_bucket import TokenBucket

SECOND_NS = 1_000_000_000
#: 418 is Binance's: the address is banned.
REFUSALS = (418, 429, 503)
FIRST_PAUSE_NS = SECOND_NS
#: Without a Retry-After. A ban lasts two minutes at least.
LONGEST_PAUSE_NS, SHORTEST_BAN_NS = 64 * SECOND_NS, 128 * SECOND_NS
#: A Retry-After beyond this is a mistake of somebody's.
LONGEST_WAIT_NS = 7 * 24 * 3600 * SECOND_NS
#: The call that goes alone after a pause may take so long before another one tries.
PROBE_NS = 15 * SECOND_NS
#: Per cent of a limit that orders draw on too, which calls may use, and calls for books.
CALL_SHARE, BOOK_SHARE = 80, 50
#: Refusals for the sake of a limit, of everything that comes from here.
TOO_MUCH = (418, 429)
#: Calls of the start that are remembered until it is known what they count for.
MOST_EARLY = 1024
#: What is needed before anything runs may wait so long for a host that wants to be left alone.
PATIENCE_S = 60.0


class Answer(NamedTuple):
    """Of a REST call. Status 0 = there was none, the body says why."""

    status: int
    body: bytes
    retry_after: str = ""       # the headers, where there are any
    used_weight: str = ""


@dataclass(slots=True)
class Host:
    """What is known of one."""

    connects: TokenBucket = field(default_factory=lambda: TokenBucket(None))
    requests: TokenBucket = field(default_factory=lambda: TokenBucket(None))
    refused: int = 0            # in a row
    probing: bool = False       # the first call after a pause is under way
    pause_ns: int = 0           # nothing is asked before
    shared: SharedRateLimit | None = None   # with orders; of the limit
    shared_limit: Limit | None = None
    early: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MOST_EARLY))     # when, weight


def retry_after_ns(text: str, unix_ns: int) -> int:
    """Nanoseconds that a Retry-After (RFC 9110, 10.2.3: seconds or a date) asks for; 0 where it says nothing usable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:12]) * SECOND_NS, LONGEST_WAIT_NS)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0, min(int(when.timestamp()) * SECOND_NS - unix_ns, LONGEST_WAIT_NS))


class Hosts:
    """All hosts by the host and port of their URLs. Any thread; times are monotonic nanoseconds.

    Parameters
    ----------
    seed : int, optional
        Of the jitter.
    """

    def __init__(self, seed: int | None = None):
        self._hosts: dict[str, Host] = {}
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def connect(self, url: str, limit: Limit | None, now_ns: int) -> int:
        """Count an attempt to connect that is made now and return 0; or return when there may be one."""
        if limit is None:
            return 0
        with self._lock:
            host = self._host(url)
            host.connects = host.connects if host.connects.limit == limit else TokenBucket(limit)
            return 0 if host.connects.take(now_ns) else host.connects.ready_ns(now_ns)

    def share(self, url: str, limit: Limit) -> SharedRateLimit:
        """The limit of an address that calls and orders draw on together. Exchange threads keep hold of it."""
        with self._lock:
            host = self._host(url)
            if host.shared is None or host.shared_limit is None or host.shared_limit.period_ns != limit.period_ns:
                host.shared = SharedRateLimit(limit.count, limit.period_ns)
                for at_ns, weight in host.early:
                    host.shared.spend(weight, at_ns)
            elif host.shared_limit != limit:
                host.shared.set_limit(limit.count)
            host.shared_limit = limit
            return host.shared

    def request(self, url: str, limit: Limit | None, now_ns: int, weight: int = 1, percent: int = CALL_SHARE) -> int:
        """Count a REST call that is made now and return 0; or return when it may be made. `percent` is what it may use
        of a limit that orders draw on too."""
        with self._lock:
            host = self._host(url)
            if now_ns < host.pause_ns:
                return host.pause_ns
            if limit is not None:
                host.requests = host.requests if host.requests.limit == limit else TokenBucket(limit)
                if (at_ns := host.requests.ready_ns(now_ns, weight)) > now_ns:
                    return at_ns
            if host.shared is None:
                host.early.append((now_ns, weight))
            elif not host.shared.take(weight, now_ns, percent):
                return max(now_ns + 1, host.shared.ready_ns(weight, now_ns, percent))
            if limit is not None:
                host.requests.take(now_ns, weight)
            if host.refused:
                host.probing, host.pause_ns = True, now_ns + PROBE_NS
            return 0

    def answered(self, url: str, status: int, retry_after: str, now_ns: int, unix_ns: int,
                 used_weight: str = "") -> int:
        """Note an answer. Returns until when its host must be left alone, if it asks for that; else 0."""
        with self._lock:
            host = self._host(url)
            if host.shared is not None and used_weight.isascii() and used_weight.isdigit():
                host.shared.hear(min(int(used_weight[:9]), host.shared.limit), now_ns)
            if status not in REFUSALS:
                if host.probing and status:
                    host.refused, host.probing, host.pause_ns = 0, False, 0
                return 0
            if host.probing or now_ns >= host.pause_ns:     # else one of several that were under way together
                host.refused += 1
                host.pause_ns = 0
            host.probing = False
            wished_ns = retry_after_ns(retry_after, unix_ns)
            host.pause_ns = max(host.pause_ns, now_ns + (wished_ns or self._pause_ns(status, host.refused)))
            if host.shared is not None and status in TOO_MUCH:
                host.shared.close(host.pause_ns)
            return host.pause_ns

    def _pause_ns(self, status: int, refused: int) -> int:
        if status == 418:
            return int(SHORTEST_BAN_NS * self._random.uniform(1.0, 1.5))
        pause_ns = min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(refused, 10))
        return int(pause_ns * self._random.uniform(0.5, 1.0))

    def _host(self, url: str) -> Host:
        return self._hosts.setdefault(urlsplit(url).netloc, Host())


#: Of this process.
HOSTS = Hosts()

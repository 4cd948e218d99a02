"""What one exchange is still to be sent and asked, in order, and no faster than it allows."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from orderflow._core.rate_limit import SharedRateLimit
from orderflow.exchanges.actions import Request, Send
from orderflow.exchanges.facts import Limits
from orderflow.servers.hosts import BOOK_SHARE, CALL_SHARE, SECOND_NS, Hosts
from orderflow.servers.token_bucket import TokenBucket

NO_LISTING, ALL = -1, 100
#: A host that is left alone may be free before its time: it is looked at so often.
LOOK_NS = SECOND_NS


class Outgoing:
    """Messages of each connection, by its own limit or a common one, and REST calls. Control thread only.

    Parameters
    ----------
    connections : int
    limits : Limits
    hosts : Hosts
        Shared with whatever else asks the same hosts.
    """

    def __init__(self, connections: int, limits: Limits, hosts: Hosts):
        self.held_back = 0          # messages and calls that had to wait for the limit
        self._limits = limits
        self._hosts = hosts
        shared = TokenBucket(limits.messages)
        self._buckets = [shared if limits.by_address else TokenBucket(limits.messages) for _ in range(connections)]
        self._messages: list[deque[tuple[Send, int]]] = [deque() for _ in range(connections)]
        self._snapshots: deque[Request] = deque()
        self._calls: deque[Request] = deque()       # all others, and before them
        self._requests_ns = 0       # one of them may go then
        self._weighed: dict[int, SharedRateLimit] = {}      # by connection

    def weigh(self, connection: int, limit: SharedRateLimit) -> None:
        """What is sent over that connection counts in a limit of the address: a login may use all of it, because
        cancels need one, and the rest as calls do."""
        self._weighed[connection] = limit

    def send(self, connection: int, message: Send, listing: int) -> None:
        """To be sent; `listing` is the one whose book it resyncs, or NO_LISTING."""
        self._messages[connection].append((message, listing))

    def fetch(self, request: Request) -> None:
        """To be asked for."""
        (self._calls if request.listing == NO_LISTING else self._snapshots).append(request)
        self._requests_ns = 0

    def messages(self, connection: int, now_ns: int) -> Iterator[tuple[Send, int]]:
        """What may be sent now, with its listing."""
        waiting, bucket, limit = self._messages[connection], self._buckets[connection], self._weighed.get(connection)
        while waiting and bucket.ready_ns(now_ns) <= now_ns:
            message = waiting[0][0]
            if limit is not None and not limit.take(message.weight, now_ns, _share_of(message)):
                break
            bucket.take(now_ns)
            yield waiting.popleft()
        self.held_back += len(waiting) > 0

    def requests(self, now_ns: int) -> Iterator[Request]:
        """What may be asked for now."""
        self._requests_ns = now_ns + LOOK_NS
        for waiting, percent in ((self._calls, CALL_SHARE), (self._snapshots, BOOK_SHARE)):
            while waiting:
                allowed_ns = self._hosts.request(waiting[0].url, self._limits.requests, now_ns, waiting[0].weight,
                                                 percent)
                if allowed_ns:
                    self._requests_ns = min(self._requests_ns, allowed_ns)
                    self.held_back += 1
                    break
                yield waiting.popleft()

    def answered(self) -> None:
        """A host may be free that was not."""
        self._requests_ns = 0

    def forget(self, connection: int) -> None:
        """It is gone, and what was to be sent over it means nothing to the next one."""
        self._messages[connection].clear()
        if not self._limits.by_address:
            self._buckets[connection] = TokenBucket(self._limits.messages)

    def forget_snapshots(self, requests: Sequence[Request]) -> None:
        """The books that these were for begin anew."""
        forgotten = {id(request) for request in requests}
        self._snapshots = deque(request for request in self._snapshots if id(request) not in forgotten)

    def due_ns(self, now_ns: int) -> int | None:
        """When something may go; None = nothing waits."""
        due = [max(bucket.ready_ns(now_ns), self._room_ns(connection, now_ns)) for connection, (bucket, messages)
               in enumerate(zip(self._buckets, self._messages, strict=True)) if messages]
        if self._calls or self._snapshots:
            due.append(self._requests_ns)
        return min(due, default=None)

    def _room_ns(self, connection: int, now_ns: int) -> int:
        """When there is room for its next message in the limit of the address."""
        limit, message = self._weighed.get(connection), self._messages[connection][0][0]
        return limit.ready_ns(message.weight, now_ns, _share_of(message)) if limit is not None else 0


def _share_of(message: Send) -> int:
    return ALL if message.secret else CALL_SHARE

"""What a conversation asks of its driver."""
from __future__ import annotations

from dataclasses import dataclass

from orderflow.exchanges.actions import Endpoint, Fetch


@dataclass(frozen=True, slots=True)
class Connect:
    """Open this connection, then call `connected` or `connect_failed`."""

    line: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Release:
    """The native thread has let go of this connection's transport; close the socket."""

    line: int


Effect = Connect | Fetch | Release

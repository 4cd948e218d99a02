"""Frames of one picows connection on their way into its exchange's ring.

When the ring is full, reading pauses: frames are never dropped. What waits outside is bounded; past the bound the
connection is given up and its books go STALE, never wrong.
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from orderflow.servers.control import Conversation

#: Coinbase sends the whole book of BTC-USD in one frame of more than 4 MiB. The ring must have room for one like that.
LARGEST_FRAME = 12 << 20
MOST_FRAGMENTS = 1024
#: Bytes that may wait outside a full ring before the connection is given up: its books go STALE, never wrong.
WAITING_BYTES = 32 << 20
RETRY_S = 0.001


class Listener(WSListener):
    """Frames of one connection on their way into the ring."""

    def __init__(self, conversation: Conversation, line: int, admit: Callable[[Listener], None]):
        self.conversation = conversation
        self.loop = conversation.loop
        self.line = line
        self.epoch = 0
        self.transport: WSTransport | None = None
        self._admit = admit
        self._fragments: list[bytes] = []
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Connected: the native loop hears of it before the first frame."""
        self.transport = transport
        self._admit(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame; pings were answered by picows."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            if (kind == WSMsgType.CONTINUATION) != bool(self._fragments):
                self._break_off("a continuation of nothing, or a message inside another")
            elif frame.fin and not self._fragments and not self._waiting:
                payload = frame.get_payload_as_memoryview()
                if not self.loop.push_frame(self.line, self.epoch, payload):
                    self._wait(bytes(payload))
            else:
                self._fragment(frame)

    def _fragment(self, frame: WSFrame) -> None:
        self._fragments.append(frame.get_payload_as_bytes())
        if sum(map(len, self._fragments)) > LARGEST_FRAME or len(self._fragments) > MOST_FRAGMENTS:
            self._break_off(f"a message of more than {LARGEST_FRAME} bytes or {MOST_FRAGMENTS} fragments")
            return
        if not frame.fin:
            return
        payload = b"".join(self._fragments)
        self._fragments.clear()
        if self._waiting or not self.loop.push_frame(self.line, self.epoch, payload):
            self._wait(payload)

    def _break_off(self, problem: str) -> None:
        """The peer broke RFC 6455 or a limit."""
        self._fragments.clear()
        self.conversation.tell(f"{self.conversation.lines[self.line].name} connection: {problem}")
        self.transport.send_close(WSCloseCode.PROTOCOL_ERROR)
        self.transport.disconnect()

    def _wait(self, payload: bytes) -> None:
        if not self._waiting:
            self.transport.underlying_transport.pause_reading()
            asyncio.get_running_loop().call_later(RETRY_S, self._retry)
        self._waiting.append(payload)
        self._waiting_bytes += len(payload)
        if self._waiting_bytes > WAITING_BYTES:
            self.transport.disconnect(False)

    def _retry(self) -> None:
        taken = 0
        for payload in self._waiting:
            if not self.loop.push_frame(self.line, self.epoch, payload):
                break
            taken += 1
            self._waiting_bytes -= len(payload)
        del self._waiting[:taken]
        if self._waiting:
            asyncio.get_running_loop().call_later(RETRY_S, self._retry)
        elif not self.transport.is_disconnected:
            self.transport.underlying_transport.resume_reading()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Gone, whoever ended it."""
        handshake = transport.close_handshake
        code = handshake.recv.code if handshake and handshake.recv else 0
        self.conversation.disconnected(self.line, int(code), self.epoch)    # type: ignore[arg-type]   # an IntEnum

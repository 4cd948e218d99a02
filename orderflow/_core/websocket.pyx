"""Memory and Python face of the websocket frames: what the tests, the tools and the set-up code call."""
import os

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from orderflow._core.masking cimport MASK_SEED_SIZE

FAULT_TEXT = {
    FrameFault.FAULTLESS: "no fault",
    FrameFault.MASKED_BY_SERVER: "the server masked a frame",
    FrameFault.RESERVED_BITS: "reserved bits are set (compression was not offered)",
    FrameFault.RESERVED_OPCODE: "reserved opcode",
    FrameFault.LENGTH_NOT_MINIMAL: "a length is not in its shortest form",
    FrameFault.LENGTH_OVER_63_BITS: "a length has its highest bit set",
    FrameFault.CONTROL_FRAGMENTED: "a control frame is fragmented",
    FrameFault.CONTROL_TOO_LONG: "a control frame is longer than 125 bytes",
    FrameFault.CONTINUATION_OF_NOTHING: "a continuation without a message to continue",
    FrameFault.MESSAGE_INTERRUPTED: "a new message began before the fragmented one ended",
    FrameFault.INVALID_UTF8: "text is not UTF-8",
    FrameFault.CLOSE_PAYLOAD: "a close frame holds half a code",
    FrameFault.CLOSE_CODE: "a close frame holds a code that must not be sent",
    FrameFault.FRAME_TOO_LARGE: "a frame is larger than the limit",
    FrameFault.MESSAGE_TOO_LARGE: "a fragmented message is larger than the limit",
    FrameFault.TOO_MANY_FRAGMENTS: "a message has more fragments than the limit",
}


cdef class FrameReader:
    """Room for what a connection receives.

    Parameters
    ----------
    frame_limit : int
        Largest payload of one frame, in bytes. The buffer is this large, and 64 KiB at least.
    message_limit : int
        Largest fragmented message, in bytes; None = frame_limit.
    fragment_limit : int
        Most fragments of one message.
    """

    def __cinit__(self, size_t frame_limit=4 << 20, message_limit=None, uint32_t fragment_limit=4096):
        cdef Reader *reader = &self.reader
        if not 0 < frame_limit <= 1 << 30:
            raise ValueError(f"frame_limit: 1 byte to 1 GiB are possible, not {frame_limit}")
        reader.frame_limit = frame_limit
        reader.message_limit = frame_limit if message_limit is None else message_limit
        reader.fragment_limit = fragment_limit
        reader.capacity = max(frame_limit + SERVER_HEADER, <size_t>READ_BLOCK)
        reader.buffer = <char *>calloc(reader.capacity + FRAME_PADDING, 1)
        reader.message = <char *>calloc(reader.message_limit + FRAME_PADDING, 1)
        if reader.buffer is NULL or reader.message is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.reader.buffer)
        free(self.reader.message)

    def feed(self, const unsigned char[::1] data):
        """Take bytes as a read would; returns how many fitted. Frames handed out in place before are gone."""
        cdef char *room
        cdef size_t size = make_room(&self.reader, &room)
        size = min(size, <size_t>data.shape[0])
        if size:
            memcpy(room, &data[0], size)
            filled(&self.reader, size)
        return size

    def next(self):
        """(FrameStatus, Opcode or None, payload as bytes or None, close code or 0) of the next frame."""
        cdef Frame frame
        cdef int status
        with nogil:
            status = next_frame(&self.reader, &frame)
        if status != FrameStatus.FRAME:
            return FrameStatus(status), None, None, 0
        return FrameStatus(status), Opcode(frame.opcode), frame.data[:frame.size], frame.close_code

    @property
    def buffered(self):
        """Bytes received and not handed out."""
        return self.reader.end - self.reader.begin

    @property
    def position(self):
        """(begin, end) of the bytes not handed out, as offsets in the buffer."""
        return self.reader.begin, self.reader.end

    @property
    def memory(self):
        """Bytes held, fixed for life."""
        return self.reader.capacity + self.reader.message_limit + 2 * FRAME_PADDING

    @property
    def fault(self):
        """FrameFault that stopped this reader."""
        return FrameFault(self.reader.fault)

    @property
    def close_code(self):
        """Code to close with after the fault; 0 without one."""
        return close_code(self.reader.fault) if self.reader.fault else 0


cdef class FrameWriter:
    """Frames of one connection, masked with its own unpredictable keys.

    Parameters
    ----------
    seed : bytes, optional
        48 bytes for a known key sequence (tests). By default the kernel's generator.
    """

    def __cinit__(self, bytes seed=None):
        if seed is None:
            seed = os.urandom(MASK_SEED_SIZE)
        if len(seed) != MASK_SEED_SIZE:
            raise ValueError(f"seed: expected {MASK_SEED_SIZE} bytes, got {len(seed)}")
        masking.seed(&self.keys, seed)

    def frame(self, uint8_t opcode, const unsigned char[::1] payload not None):
        """The frame as bytes; ValueError for a control payload over 125 bytes."""
        cdef size_t size = payload.shape[0]
        out = bytearray(size + HEADER_ROOM)
        cdef char *target = out
        cdef const char *source = <const char *>&payload[0] if size else target
        cdef size_t written = write_frame(target, size + HEADER_ROOM, opcode, source, size, &self.keys)
        if written == 0:
            raise ValueError(f"a control frame carries at most {CONTROL_LIMIT} bytes, not {size}")
        return bytes(out[:written])

    def close(self, uint16_t code=1000):
        """A close frame without a reason."""
        cdef char out[HEADER_ROOM]
        if code != CloseCode.NO_CODE and not may_be_sent(code):
            raise ValueError(f"close code {code} must not be sent (RFC 6455, 7.4)")
        return out[:write_close(out, HEADER_ROOM, code, &self.keys)]

    def keystream(self, uint32_t blocks):
        """The next blocks of 64 bytes that keys are taken from, for the RFC 8439 test vectors."""
        result = b""
        for _ in range(blocks):
            masking.make_block(&self.keys)
            result += (<char *>self.keys.block)[:64]
        self.keys.used = 16
        return result


def is_utf8(const unsigned char[::1] data not None):
    """Whether the bytes are UTF-8, as text frames are checked."""
    cdef size_t size = data.shape[0]
    return size == 0 or bool(utf8.valid(<const char *>&data[0], size))

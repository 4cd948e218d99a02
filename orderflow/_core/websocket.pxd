"""RFC 6455, client side, no I/O: frames are cut out of the receive buffer where they lie.

    transport.read -> [ room | unread remainder | free ] -> next_frame -> Frame {opcode, data, size}
                        begin ^               end ^

One buffer, read into at its end and cut from at its beginning. Before a read the unread remainder, which is the first
part of one frame, moves to the front; a frame that starts at the front stays there until it is whole. So a byte is
moved at most once, and small frames are always decoded in the same few cache lines. A frame in one piece is handed out
in place; a fragmented message (rare: no exchange that we know of fragments) is put together in a bounded side buffer,
the one copy. Both buffers have FRAME_PADDING readable bytes after their end.

Worst case: the peer announces a frame as large as the limit and sends it byte by byte. It costs one header parse a
read and never more memory than was given at the start. Compression is never offered, so reserved bits are an error.
A frame that was handed out is valid until the next make_room() or next_frame() on that reader.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from orderflow._core cimport masking, utf8
from orderflow._core.masking cimport MaskKeys

cdef enum:
    READ_BLOCK = 65536          # most bytes asked of one read: what is read is cut while it is still in the L2 cache
    HEADER_ROOM = 14            # bytes that must be free before a payload that seal() makes a frame of
    SERVER_HEADER = 10          # longest header without a mask key
    CONTROL_LIMIT = 125
    FRAME_PADDING = 64          # readable bytes after any frame: what codec.CODEC_PADDING asks for


cpdef enum Opcode:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


cpdef enum FrameStatus:
    FRAME = 0
    NEED_MORE = 1               # read, then ask again
    PROTOCOL_ERROR = 2          # close with close_code(reader.fault); stays so
    TOO_LARGE = 3               # the same: over a limit that was set, not against the protocol


cpdef enum FrameFault:
    FAULTLESS = 0
    MASKED_BY_SERVER = 1
    RESERVED_BITS = 2           # also a compressed frame: compression was not offered
    RESERVED_OPCODE = 3
    LENGTH_NOT_MINIMAL = 4
    LENGTH_OVER_63_BITS = 5
    CONTROL_FRAGMENTED = 6
    CONTROL_TOO_LONG = 7
    CONTINUATION_OF_NOTHING = 8
    MESSAGE_INTERRUPTED = 9     # a new message before the fragmented one ended
    INVALID_UTF8 = 10
    CLOSE_PAYLOAD = 11          # one byte: half a code
    CLOSE_CODE = 12             # a code that must not be on the wire
    FRAME_TOO_LARGE = 13
    MESSAGE_TOO_LARGE = 14
    TOO_MANY_FRAGMENTS = 15


cpdef enum CloseCode:
    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_VIOLATION = 1002
    NO_CODE = 1005              # never sent: what an empty close frame means
    INVALID_DATA = 1007
    MESSAGE_TOO_BIG = 1009


cdef struct Frame:              # a whole message, or a control frame
    char *data                  # in the reader's memory; of CLOSE: the reason
    size_t size
    uint16_t close_code         # of CLOSE; NO_CODE = none was given
    uint8_t opcode              # TEXT, BINARY, CLOSE, PING or PONG


cdef struct Reader:
    char *buffer
    size_t begin                # first byte not handed out
    size_t end                  # one past the last byte read
    size_t capacity             # at least frame_limit + SERVER_HEADER: a frame within the limit can always be completed
    size_t frame_limit          # payload bytes
    char *message               # a fragmented message, put together
    size_t message_size
    size_t message_limit
    uint32_t fragments
    uint32_t fragment_limit
    uint8_t message_opcode      # of the open fragmented message; 0 = none is open
    uint8_t fault               # FrameFault, the first one; the reader stays at it
    uint8_t closed              # a close frame came: whatever follows is discarded


cdef struct Header:
    uint64_t payload
    size_t size
    uint8_t opcode
    uint8_t final


cdef nogil:
    # ------------------------------------------------------------------ bytes in

    inline void restart(Reader *reader) noexcept:
        """For a new connection: nothing of the last one is left."""
        reader.begin = reader.end = 0
        reader.message_size = 0
        reader.message_opcode = 0
        reader.fragments = 0
        reader.fault = FrameFault.FAULTLESS
        reader.closed = 0

    inline size_t make_room(Reader *reader, char **out) noexcept:
        """Where the next read goes; returns how much it may be, never 0 after NEED_MORE. Ends the last frame's life."""
        cdef size_t unread = reader.end - reader.begin
        cdef size_t room
        if reader.begin:
            if unread:
                memmove(reader.buffer, reader.buffer + reader.begin, unread)
            reader.begin = 0
            reader.end = unread
        out[0] = reader.buffer + unread
        room = reader.capacity - unread
        return room if room < READ_BLOCK else <size_t>READ_BLOCK

    inline void filled(Reader *reader, size_t size) noexcept:
        reader.end += size

    # ------------------------------------------------------------------ frames out

    inline int fail(Reader *reader, uint8_t fault) noexcept:
        reader.fault = fault
        return FrameStatus.PROTOCOL_ERROR if fault < FrameFault.FRAME_TOO_LARGE else FrameStatus.TOO_LARGE

    inline uint16_t close_code(uint8_t fault) noexcept:
        """The code to close with after a fault."""
        if fault == FrameFault.INVALID_UTF8:
            return CloseCode.INVALID_DATA
        if fault >= FrameFault.FRAME_TOO_LARGE:
            return CloseCode.MESSAGE_TOO_BIG
        return CloseCode.PROTOCOL_VIOLATION

    inline bint may_be_sent(uint32_t code) noexcept:
        """Close codes that may stand in a frame: RFC 6455 7.4 and the IANA registry (1012 to 1014)."""
        return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999

    inline uint8_t check_first_bytes(const Reader *reader, uint8_t first, uint8_t second) noexcept:
        """What two bytes already prove wrong, before any payload is waited for."""
        cdef uint8_t opcode = first & 0x0F
        cdef uint8_t length = second & 0x7F
        if second & 0x80:
            return FrameFault.MASKED_BY_SERVER
        if first & 0x70:
            return FrameFault.RESERVED_BITS
        if opcode & 0x08:
            if opcode > Opcode.PONG:
                return FrameFault.RESERVED_OPCODE
            if not first & 0x80:
                return FrameFault.CONTROL_FRAGMENTED
            if length > CONTROL_LIMIT:
                return FrameFault.CONTROL_TOO_LONG
            if opcode == Opcode.CLOSE and length == 1:
                return FrameFault.CLOSE_PAYLOAD
        elif opcode == Opcode.CONTINUATION:
            if reader.message_opcode == 0:
                return FrameFault.CONTINUATION_OF_NOTHING
        elif opcode > Opcode.BINARY:
            return FrameFault.RESERVED_OPCODE
        elif reader.message_opcode:
            return FrameFault.MESSAGE_INTERRUPTED
        return FrameFault.FAULTLESS

    inline int parse_header(Reader *reader, Header *header) noexcept:
        """FRAME: the frame at `begin` is whole. Limits are judged by the announced length, before the bytes come."""
        cdef const uint8_t *p = <const uint8_t *>reader.buffer + reader.begin
        cdef size_t have = reader.end - reader.begin
        cdef uint8_t fault
        cdef int i
        if have < 2:
            return FrameStatus.NEED_MORE
        fault = check_first_bytes(reader, p[0], p[1])
        if fault:
            return fail(reader, fault)
        header.opcode = p[0] & 0x0F
        header.final = p[0] >> 7
        header.payload = p[1] & 0x7F
        header.size = 2
        if header.payload == 126:
            header.size = 4
            if have < 4:
                return FrameStatus.NEED_MORE
            header.payload = (<uint32_t>p[2] << 8) | p[3]
            if header.payload < 126:
                return fail(reader, FrameFault.LENGTH_NOT_MINIMAL)
        elif header.payload == 127:
            header.size = 10
            if have < 10:
                return FrameStatus.NEED_MORE
            header.payload = 0
            for i in range(2, 10):
                header.payload = (header.payload << 8) | p[i]
            if header.payload >> 63:
                return fail(reader, FrameFault.LENGTH_OVER_63_BITS)
            if header.payload < 65536:
                return fail(reader, FrameFault.LENGTH_NOT_MINIMAL)
        if header.payload > reader.frame_limit:
            return fail(reader, FrameFault.FRAME_TOO_LARGE)
        if have - header.size < header.payload:
            return FrameStatus.NEED_MORE
        return FrameStatus.FRAME

    inline int take_control(Reader *reader, Frame *frame) noexcept:
        """Close payloads are checked; ping and pong are any bytes."""
        cdef const uint8_t *p = <const uint8_t *>frame.data
        if frame.opcode != Opcode.CLOSE:
            return FrameStatus.FRAME
        reader.closed = 1
        frame.close_code = CloseCode.NO_CODE
        if frame.size == 0:
            return FrameStatus.FRAME
        frame.close_code = (<uint16_t>p[0] << 8) | p[1]
        if not may_be_sent(frame.close_code):
            return fail(reader, FrameFault.CLOSE_CODE)
        frame.data += 2
        frame.size -= 2
        if not utf8.valid(frame.data, frame.size):
            return fail(reader, FrameFault.INVALID_UTF8)
        return FrameStatus.FRAME

    inline int take_fragment(Reader *reader, const Header *header, Frame *frame) noexcept:
        """Append to the message; FRAME when this was its last fragment, else NEED_MORE. UTF-8 is judged as a whole."""
        if header.opcode != Opcode.CONTINUATION:
            reader.message_opcode = header.opcode
            reader.message_size = 0
            reader.fragments = 0
        reader.fragments += 1
        if reader.fragments > reader.fragment_limit:
            return fail(reader, FrameFault.TOO_MANY_FRAGMENTS)
        if frame.size > reader.message_limit - reader.message_size:
            return fail(reader, FrameFault.MESSAGE_TOO_LARGE)
        memcpy(reader.message + reader.message_size, frame.data, frame.size)
        reader.message_size += frame.size
        if not header.final:
            return FrameStatus.NEED_MORE
        frame.data = reader.message
        frame.size = reader.message_size
        frame.opcode = reader.message_opcode
        reader.message_opcode = 0
        return FrameStatus.FRAME

    inline int next_frame(Reader *reader, Frame *frame) noexcept:
        """Cut the next message or control frame; returns a FrameStatus. Control frames come between fragments."""
        cdef Header header
        cdef int status
        while True:
            if reader.fault:
                return fail(reader, reader.fault)
            if reader.closed:
                reader.begin = reader.end
                return FrameStatus.NEED_MORE
            status = parse_header(reader, &header)
            if status != FrameStatus.FRAME:
                return status
            frame.data = reader.buffer + reader.begin + header.size
            frame.size = header.payload
            frame.opcode = header.opcode
            frame.close_code = 0
            reader.begin += header.size + header.payload
            if header.opcode & 0x08:
                return take_control(reader, frame)
            if not header.final or reader.message_opcode:
                status = take_fragment(reader, &header, frame)
                if status == FrameStatus.NEED_MORE:
                    continue
                if status != FrameStatus.FRAME:
                    return status
            if frame.opcode == Opcode.TEXT and not utf8.valid(frame.data, frame.size):
                return fail(reader, FrameFault.INVALID_UTF8)
            return FrameStatus.FRAME

    # ------------------------------------------------------------------ frames to send

    inline size_t header_size(size_t size) noexcept:
        return 6 if size < 126 else (8 if size < 65536 else 14)

    inline size_t seal(char *payload, size_t size, uint8_t opcode, uint32_t key) noexcept:
        """Make the payload a frame where it lies: masked in place, header written before it (HEADER_ROOM bytes free).

        Returns the header's size n: the frame is [payload - n, payload + size).
        """
        cdef size_t n = header_size(size)
        cdef uint8_t *p = <uint8_t *>payload - n
        cdef size_t i
        p[0] = 0x80 | opcode
        if n == 6:
            p[1] = 0x80 | <uint8_t>size
        elif n == 8:
            p[1] = 0x80 | 126
            p[2] = <uint8_t>(size >> 8)
            p[3] = <uint8_t>size
        else:
            p[1] = 0x80 | 127
            for i in range(8):
                p[2 + i] = <uint8_t>(<uint64_t>size >> (56 - 8 * i))
        memcpy(p + n - 4, &key, 4)
        masking.apply(payload, size, key)
        return n

    inline size_t write_frame(char *out, size_t capacity, uint8_t opcode, const char *payload, size_t size,
                              MaskKeys *keys) noexcept:
        """A whole frame at `out`; returns its size, 0 if it does not fit or a control payload is over 125 bytes."""
        cdef size_t n = header_size(size)
        if capacity < n or capacity - n < size or (opcode & 0x08 and size > CONTROL_LIMIT):
            return 0
        if size:                # a control frame without a payload has no address either
            memcpy(out + n, payload, size)
        return size + seal(out + n, size, opcode, masking.next_key(keys))

    inline size_t write_close(char *out, size_t capacity, uint16_t code, MaskKeys *keys) noexcept:
        """A close frame without a reason; of NO_CODE: without a code."""
        cdef char payload[2]
        payload[0] = <char>(code >> 8)
        payload[1] = <char>(code & 0xFF)
        return write_frame(out, capacity, Opcode.CLOSE, payload, 0 if code == CloseCode.NO_CODE else 2, keys)

    inline size_t write_pong(char *out, size_t capacity, const Frame *ping, MaskKeys *keys) noexcept:
        """The answer to a ping: its payload."""
        return write_frame(out, capacity, Opcode.PONG, ping.data, ping.size, keys)


cdef class FrameReader:
    """Owns a Reader's memory."""
    cdef Reader reader


cdef class FrameWriter:
    """Owns the mask keys of one connection."""
    cdef MaskKeys keys

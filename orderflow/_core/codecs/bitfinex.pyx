"""Bitfinex market data: frames -> messages.

Source: docs.bitfinex.com, "WebSocket general" (message encoding, conf, info), "Public channels: books, trades" and
"WebSocket checksum". Data is [channel, payload, ...], where the payload of some is a word and what belongs to it:
"hb"; "cs", checksum; "te", trade; "tu", the same trade again. Behind it stand the sequence number and the time, where
`conf` asked for them; more may be appended at any time. Everything else is an object with an `event`.

The number of a channel belongs to the connection and is told by `subscribed`, so those are read here; the first frame
of a connection, `info` with a version, takes them all back. The sequence number counts the arrays of the connection,
whatever they are about: where it does not go on by one, some frame was lost, and no book is known to be whole.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport bitfinex_levels, channels, fields, pair_books
from orderflow._core.types cimport ChecksumRule, Listing, Message, MessageKind, Side

cdef enum Kind:                 # of a channel
    BOOK = 0
    TRADES = 1
    KINDS = 2

cdef enum Flag:                 # of `conf`
    TIMESTAMP = 32768
    SEQ_ALL = 65536

cdef enum EventKey:             # indices of fields
    EVENT = 0
    CHANNEL = 1
    NUMBER = 2
    SYMBOL = 3
    PRECISION = 4
    FLAGS = 5
    STATUS = 6
    VERSION = 7
    CODE = 8

cdef enum:
    MAINTENANCE_BEGINS = 20060
    NOT_COUNTED = -1
    NUMBER_BITS = 53            # of the integers that JavaScript counts with


cdef struct Frame:
    levels.Target target
    Message *message
    const char *payload         # where it stands, once everything before it was read
    int64_t sequence
    int64_t exchange_ns
    int32_t listing
    bint unknown                # a word that is none of the protocol's


cdef nogil:
    inline int event_key_of(const json.Text *key) noexcept:
        if json.equal(key, "event"):
            return EVENT
        if json.equal(key, "channel"):
            return CHANNEL
        if json.equal(key, "chanId"):
            return NUMBER
        if json.equal(key, "symbol"):
            return SYMBOL
        if json.equal(key, "prec"):
            return PRECISION
        if json.equal(key, "flags"):
            return FLAGS
        if json.equal(key, "status"):
            return STATUS
        if json.equal(key, "version"):
            return VERSION
        return CODE if json.equal(key, "code") else -1

    inline bint is_text(json.Cursor *c, const fields.Fields *event, uint32_t index, const char *literal) noexcept:
        """Whether the value of a key is this text; not where the key is missing."""
        cdef json.Cursor field
        cdef json.Text text
        if not fields.has(event, index) or not fields.read_text(c, event, index, &field, &text):
            return False
        return json.equal(&text, literal)

    inline bint read_counting(json.Cursor *c, int64_t *out) noexcept:
        """A sequence number, or the number of a channel."""
        if not json.read_int64(c, out):
            return False
        return True if 0 <= out[0] < <int64_t>1 << NUMBER_BITS else json.fail(c, fixed.NUMBER_RANGE)

    inline void read_checksum(json.Cursor *c, Frame *frame) noexcept:
        """A signed 32-bit integer."""
        cdef int64_t value = 0
        if not json.read_int64(c, &value):
            return
        if not -(<int64_t>1 << 31) <= value < <int64_t>1 << 31:
            json.fail(c, fixed.NUMBER_RANGE)
            return
        frame.message.kind = MessageKind.CHECK
        frame.message.checksum_rule = ChecksumRule.BITFINEX_CHECKSUM
        frame.message.checksum = <uint32_t>value

    inline void read_trade(json.Cursor *c, Frame *frame) noexcept:
        """[id, milliseconds, amount, price, ...]: sold by the taker where the amount is negative."""
        cdef Message *message = frame.message
        cdef int64_t amount = 0
        message.kind = MessageKind.TRADE
        if not json.enter_array(c):
            return
        if not (json.next_element(c) and json.read_int64(c, &message.last_id)
                and json.next_element(c) and pair_books.read_time(c, &message.exchange_ns)
                and json.next_element(c) and json.read_decimal(c, frame.target.quantity_decimals, &amount)
                and json.next_element(c) and pair_books.read_positive(c, frame.target.price_decimals, &message.price)):
            json.fail(c, json.BAD_FIELD)
            return
        if amount == 0:
            json.fail(c, json.BAD_FIELD)
            return
        message.side = Side.BUY if amount > 0 else Side.SELL
        message.quantity = amount if amount > 0 else -amount
        while json.next_element(c):
            json.skip_value(c)


cdef class BitfinexMarketData(Codec):
    """Decoder of one Bitfinex v2 market data connection.

    Messages
    --------
    SNAPSHOT, UPDATE and CHECK of books of precision P0, ALIVE for their heartbeats; TRADE of "te": last_id = its id,
    side = the taker's. Before them MISSED, where the sequence number did not go on by one. Trades sent as an array are
    history: IGNORED, as are "tu", pongs, and channels of which nothing was told or which are foreign. Events are
    SESSION; before the one that maintenance begins stands MISSED, for until its end no book is kept up to date.
    """
    cdef channels.Channels told
    cdef int64_t sequence           # of the last array
    cdef int64_t flags              # that `conf` set

    def configure(self):
        """Room for the channels of every listing of this connection."""
        listings = sorted(self.symbols_by_listing())
        self.told.count = KINDS * len(listings)
        self.told.places = <channels.Channel *>calloc(self.told.count + 1, sizeof(channels.Channel))
        if self.told.places is NULL:
            raise MemoryError()
        for place in range(self.told.count):
            self.told.places[<uint32_t>place].listing = listings[place // KINDS]
            self.told.places[<uint32_t>place].kind = place % KINDS
        self.begin()
        self.sequence = NOT_COUNTED

    def __dealloc__(self):
        free(self.told.places)

    cdef void begin(self) noexcept nogil:
        """A connection begins; it is counted from where `conf` asks for it."""
        channels.clear(&self.told)
        self.flags = 0

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        pair_books.begin(&c, &frame.target, data, size, out)
        frame.payload = NULL
        frame.sequence = NOT_COUNTED
        frame.exchange_ns = 0
        frame.listing = pair_books.UNNAMED
        frame.unknown = False
        frame.message = pair_books.add(&c, out)
        if frame.message is NULL:
            pass
        elif json.peek(&c) == b"[":
            self.read_array(&c, &frame)
            if c.status == json.GOOD and not frame.unknown:
                self.count(&c, &frame, out)
            elif frame.payload is not NULL:
                self.count_refused(data + size, &frame)
            if frame.unknown:
                json.fail(&c, DecodeStatus.UNKNOWN_MESSAGE)
        else:
            self.read_event(&c, &frame, out)
        return pair_books.end(&c, &frame.target, out, frame.listing)

    # -- data ---------------------------------------------------------------------------------------------------

    cdef void read_array(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef int64_t number = 0
        cdef channels.Channel *channel
        cdef const Listing *listing
        if not json.enter_array(c):
            return
        if not json.next_element(c):
            json.fail(c, json.BAD_FIELD)
            return
        if not read_counting(c, &number):
            return
        channel = channels.find(&self.told, number)
        if channel is not NULL:
            frame.listing = frame.message.listing = channel.listing
            listing = &self.listings[channel.listing]
            frame.target.price_decimals = listing.price_decimals
            frame.target.quantity_decimals = listing.quantity_decimals
        if not json.next_element(c):
            json.fail(c, json.BAD_FIELD)
            return
        frame.payload = c.at
        if json.peek(c) == b'"':
            self.read_word(c, frame, channel)
        elif channel is not NULL and channel.kind == BOOK:
            bitfinex_levels.read(c, &frame.target, frame.message)
        elif channel is not NULL and json.peek(c) != b"[":
            json.wrong_type(c)
        else:
            json.skip_value(c)
        if c.status == json.GOOD and self.read_tail(c, frame):
            json.finish(c)
        if frame.message.kind != MessageKind.TRADE:
            frame.message.exchange_ns = frame.exchange_ns

    cdef void read_word(self, json.Cursor *c, Frame *frame, const channels.Channel *channel) noexcept nogil:
        """"hb"; or another word and what belongs to it."""
        cdef json.Text word
        cdef bint of_book = channel is not NULL and channel.kind == BOOK
        if not json.read_text(c, &word):
            return
        if json.equal(&word, "hb"):
            if of_book:
                frame.message.kind = MessageKind.ALIVE
            return
        if not json.next_element(c):
            json.fail(c, json.BAD_FIELD)
            return
        frame.payload = c.at
        if of_book and json.equal(&word, "cs"):
            read_checksum(c, frame)
            return
        if channel is not NULL and channel.kind == TRADES and json.equal(&word, "te"):
            read_trade(c, frame)
            return
        if channel is not NULL and (of_book or not json.equal(&word, "tu")):
            frame.unknown = True
            frame.listing = pair_books.UNNAMED
        json.skip_value(c)

    cdef bint read_tail(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """What stands behind the payload: the sequence number and the time, as `conf` asked for them."""
        if self.flags & SEQ_ALL:
            if not json.next_element(c):
                return json.fail(c, json.BAD_FIELD)
            if not read_counting(c, &frame.sequence):
                return False
        if self.flags & TIMESTAMP:
            if not json.next_element(c):
                return c.status == json.GOOD
            if not pair_books.read_time(c, &frame.exchange_ns):
                return False
        while json.next_element(c):
            json.skip_value(c)
        return c.status == json.GOOD

    cdef void count(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        """Put the frame into the count of the connection; where something is missing, MISSED comes first."""
        cdef int64_t before = self.sequence
        if frame.sequence == NOT_COUNTED:
            return
        if before == NOT_COUNTED or frame.sequence == before + 1:
            self.sequence = frame.sequence
        elif frame.sequence == before:          # the same frame again
            memset(frame.message, 0, sizeof(Message))
            frame.message.listing = pair_books.FOREIGN
            frame.target.count = 0
        elif self.put_missed_first(c, out):
            self.sequence = frame.sequence

    cdef void count_refused(self, const char *end, const Frame *frame) noexcept nogil:
        """A frame that cannot be taken was not lost: only the book suffers that it is about. The next frame says that
        this one is missing, though, where it is no JSON or has not the next number."""
        cdef json.Cursor c
        cdef Frame again
        again.sequence = NOT_COUNTED
        json.open(&c, frame.payload, <size_t>(end - frame.payload))
        c.first = False
        if (json.skip_value(&c) and self.read_tail(&c, &again) and json.finish(&c)
                and again.sequence == self.sequence + 1):
            self.sequence = again.sequence

    cdef bint put_missed_first(self, json.Cursor *c, DecodeBuffer *out) noexcept nogil:
        if pair_books.add(c, out) is NULL:
            return False
        memmove(out.messages + 1, out.messages, (out.message_count - 1) * sizeof(Message))
        memset(out.messages, 0, sizeof(Message))
        out.messages[0].listing = pair_books.FOREIGN
        out.messages[0].kind = MessageKind.MISSED
        return True

    # -- events -------------------------------------------------------------------------------------------------

    cdef void read_event(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        """Everything is read before any of it counts."""
        cdef fields.Fields event
        cdef json.Text key
        cdef int index
        event.present = 0
        if not json.enter_object(c):
            return
        while json.next_key(c, &key):
            index = event_key_of(&key)
            if index < 0:
                json.skip_value(c)
            else:
                fields.note(c, &event, <uint32_t>index)
        if json.finish(c):
            self.take_event(c, &event, frame, out)

    cdef void take_event(self, json.Cursor *c, const fields.Fields *event, Frame *frame,
                         DecodeBuffer *out) noexcept nogil:
        cdef int64_t value = 0
        frame.message.kind = MessageKind.SESSION
        if is_text(c, event, EVENT, "pong"):
            frame.message.kind = MessageKind.IGNORED
        elif is_text(c, event, EVENT, "subscribed"):
            self.subscribed(c, event)
        elif is_text(c, event, EVENT, "unsubscribed"):
            if self.read_number(c, event, NUMBER, &value):
                channels.forget(&self.told, value)
        elif is_text(c, event, EVENT, "conf"):
            if is_text(c, event, STATUS, "OK") and self.read_number(c, event, FLAGS, &value):
                self.flags = value
                self.sequence = NOT_COUNTED
        elif is_text(c, event, EVENT, "info"):
            if fields.has_value(event, VERSION):
                self.begin()
            elif fields.has_value(event, CODE) and fields.read_decimal(c, event, CODE, 0, &value):
                if value == MAINTENANCE_BEGINS:
                    self.put_missed_first(c, out)
        elif not is_text(c, event, EVENT, "error") and not is_text(c, event, EVENT, "auth"):
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)

    cdef bint read_number(self, json.Cursor *c, const fields.Fields *event, uint32_t index,
                          int64_t *out) noexcept nogil:
        cdef json.Cursor field
        fields.enter(event, index, &field)
        read_counting(&field, out)
        return fields.settle(c, &field)

    cdef void subscribed(self, json.Cursor *c, const fields.Fields *event) noexcept nogil:
        """A number has a new meaning, whether it is one of ours or not."""
        cdef json.Cursor field
        cdef json.Text text
        cdef int64_t number = 0
        cdef int32_t listing = pair_books.FOREIGN
        cdef bint is_book = is_text(c, event, CHANNEL, "book")
        cdef bint is_kept = is_book or is_text(c, event, CHANNEL, "trades")
        if not self.read_number(c, event, NUMBER, &number):
            return
        if is_book and fields.has(event, PRECISION):
            is_kept = is_text(c, event, PRECISION, "P0")
        if is_kept and not (fields.read_text(c, event, SYMBOL, &field, &text)
                            and pair_books.find(c, &self.symbols, text.data, text.length, &listing)):
            return
        if c.status != json.GOOD:
            return
        if is_kept and listing >= 0:
            channels.assign(&self.told, number, listing, BOOK if is_book else TRADES)
        else:
            channels.forget(&self.told, number)

"""Gemini market data: frames -> messages.

Source: docs.gemini.com, "Market Data Version 2": l2_updates, trade, heartbeat. A frame is one flat object; `type` and
`symbol` usually come first. The first l2_updates of a subscription holds the whole book; it is known by the last
trades, which it alone brings along. Books carry neither a number nor a checksum: the channel promises delivery.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t

from orderflow._core cimport json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport fields, pair_books, side_changes
from orderflow._core.types cimport Message, MessageKind, Side

cdef enum Kind:
    NO_KIND = 0
    BOOK = 1
    TRADE = 2
    QUIET = 3                   # known, and of no interest
    SESSION = 4
    UNKNOWN_KIND = 5

cdef enum Field:
    TYPE = 0
    SYMBOL = 1
    CHANGES = 2
    TRADES = 3
    SIDE = 4
    PRICE = 5
    QUANTITY = 6
    EVENT_ID = 7
    TIMESTAMP = 8
    RESULT = 9
    NO_FIELD = 10


cdef struct Frame:              # what is known of a frame so far
    fields.Fields noted
    levels.Target target
    int32_t symbol              # index of the listing, FOREIGN or UNNAMED
    int kind
    bint changed                # `changes` were read where they stood


cdef nogil:
    inline int kind_of(const json.Text *name) noexcept:
        if json.equal(name, "l2_updates"):
            return BOOK
        if json.equal(name, "trade"):
            return TRADE
        if (json.equal(name, "heartbeat") or json.equal(name, "auction_indicative") or json.equal(name, "auction_open")
                or json.equal(name, "auction_result") or json.equal(name, "block_trade")):
            return QUIET
        if json.equal(name, "subscription_ack") or json.equal(name, "error"):
            return SESSION
        return UNKNOWN_KIND

    inline int field_of(const json.Text *key) noexcept:
        if json.equal(key, "type"):
            return TYPE
        if json.equal(key, "symbol"):
            return SYMBOL
        if json.equal(key, "changes"):
            return CHANGES
        if json.equal(key, "trades"):
            return TRADES
        if json.equal(key, "side"):
            return SIDE
        if json.equal(key, "price"):
            return PRICE
        if json.equal(key, "quantity"):
            return QUANTITY
        if json.equal(key, "event_id"):
            return EVENT_ID
        if json.equal(key, "timestamp"):
            return TIMESTAMP
        if json.equal(key, "result"):
            return RESULT
        return NO_FIELD


cdef class GeminiMarketData(Codec):
    """Decoder of one Gemini market data connection.

    Messages
    --------
    One a frame. SNAPSHOT and UPDATE of l2_updates; TRADE of `trade`: last_id = event_id, side = the taker's, none in an
    auction. The trades that come with a snapshot are history and no messages. Acknowledgements and errors are SESSION;
    foreign symbols, heartbeats and auctions IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        cdef Message *message
        pair_books.begin(&c, &frame.target, data, size, out)
        frame.noted.present = 0
        frame.symbol = pair_books.UNNAMED
        frame.kind = NO_KIND
        frame.changed = False
        message = pair_books.add(&c, out)
        if message is not NULL and json.enter_object(&c):
            self.read_frame(&c, &frame, message)
        return pair_books.end(&c, &frame.target, out, frame.symbol)

    cdef void read_frame(self, json.Cursor *c, Frame *frame, Message *message) noexcept nogil:
        """The keys of the frame, then what could not be read where it stood."""
        cdef json.Text key
        cdef int field
        while json.next_key(c, &key):
            field = field_of(&key)
            if field == NO_FIELD:
                json.skip_value(c)
            elif field == CHANGES and frame.kind == BOOK and frame.symbol >= 0:
                if frame.changed or fields.has(&frame.noted, CHANGES):
                    json.fail(c, json.BAD_JSON)
                    return
                frame.changed = True
                side_changes.read_changes(c, &frame.target, message)
            else:
                if field == CHANGES and frame.changed:
                    json.fail(c, json.BAD_JSON)
                    return
                fields.note(c, &frame.noted, field)
                if field == TYPE or field == SYMBOL:
                    self.read_name(c, frame, field)
        if json.finish(c):
            self.conclude(c, frame, message)

    cdef void read_name(self, json.Cursor *c, Frame *frame, int field) noexcept nogil:
        """The two on which everything else depends."""
        cdef json.Cursor value
        cdef json.Text text
        if c.status != json.GOOD or not fields.read_text(c, &frame.noted, field, &value, &text):
            return
        if field == TYPE:
            frame.kind = kind_of(&text)
        elif pair_books.find(c, &self.symbols, text.data, text.length, &frame.symbol) and frame.symbol >= 0:
            frame.target.price_decimals = self.listings[frame.symbol].price_decimals
            frame.target.quantity_decimals = self.listings[frame.symbol].quantity_decimals

    cdef void conclude(self, json.Cursor *c, Frame *frame, Message *message) noexcept nogil:
        """All keys were seen."""
        if frame.kind == NO_KIND and fields.has(&frame.noted, RESULT):
            frame.kind = SESSION        # {"result": "error", "reason", "message"}
        if frame.kind == NO_KIND or frame.kind == UNKNOWN_KIND:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
        elif frame.kind >= QUIET:
            if frame.kind == SESSION:
                message.kind = MessageKind.SESSION
        elif frame.symbol == pair_books.UNNAMED:
            json.fail(c, json.BAD_FIELD)
        elif frame.symbol != pair_books.FOREIGN:
            message.listing = frame.symbol
            if frame.kind == BOOK:
                self.conclude_book(c, frame, message)
            else:
                self.conclude_trade(c, frame, message)

    cdef void conclude_book(self, json.Cursor *c, Frame *frame, Message *message) noexcept nogil:
        cdef json.Cursor value
        if not frame.changed:
            fields.enter(&frame.noted, CHANGES, &value)
            if value.status == json.GOOD:
                side_changes.read_changes(&value, &frame.target, message)
            if not fields.settle(c, &value):
                return
        message.kind = MessageKind.SNAPSHOT if fields.has(&frame.noted, TRADES) else MessageKind.UPDATE

    cdef void conclude_trade(self, json.Cursor *c, Frame *frame, Message *message) noexcept nogil:
        cdef json.Cursor value
        cdef json.Text text
        if not fields.read_text(c, &frame.noted, SIDE, &value, &text):
            return
        message.side = side_changes.side_of(&text)
        if message.side == Side.NO_SIDE and not json.equal(&text, "auction") and not json.equal(&text, "block"):
            json.fail(c, json.BAD_FIELD)
            return
        if (self.read_positive(c, frame, PRICE, frame.target.price_decimals, &message.price)
                and self.read_positive(c, frame, QUANTITY, frame.target.quantity_decimals, &message.quantity)
                and fields.read_int64(c, &frame.noted, EVENT_ID, &message.last_id)):
            fields.enter(&frame.noted, TIMESTAMP, &value)
            if value.status == json.GOOD:
                pair_books.read_time(&value, &message.exchange_ns)
            if fields.settle(c, &value):
                message.kind = MessageKind.TRADE

    cdef bint read_positive(self, json.Cursor *c, Frame *frame, int field, uint32_t decimals,
                            int64_t *out) noexcept nogil:
        cdef json.Cursor value
        fields.enter(&frame.noted, field, &value)
        if value.status == json.GOOD:
            pair_books.read_positive(&value, <unsigned char>decimals, out)
        return fields.settle(c, &value)

"""Coinbase Exchange market data: frames -> messages.

Source: docs.cdp.coinbase.com, "Exchange WebSocket Channels": level2, level2_batch, matches, heartbeat. A frame is one
flat object of one product. `type` and `product_id` usually come first; what comes before the two are known is noted,
checked, and read when the object has ended.

Book updates carry neither a number nor a checksum: the channel promises delivery. A heartbeat names the number of the
product's last event; where that stands still, so does the book.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from orderflow._core cimport fixed, json, levels, rfc3339
from orderflow._core.codec cimport SYMBOL_SIZE, Codec, DecodeBuffer, DecodeStatus, find_symbol
from orderflow._core.codecs cimport fields, side_changes
from orderflow._core.types cimport Listing, Message, MessageKind, Side

cdef enum Kind:
    NO_KIND = 0
    SNAPSHOT = 1
    L2UPDATE = 2
    MATCH = 3
    HEARTBEAT = 4
    QUIET = 5                   # known, and of no interest
    SESSION = 6                 # for the session: subscriptions, error
    UNKNOWN_KIND = 7

cdef enum Field:
    TYPE = 0
    PRODUCT = 1
    BIDS = 2
    ASKS = 3
    CHANGES = 4
    TIME = 5
    SIDE = 6
    PRICE = 7
    SIZE = 8
    TRADE_ID = 9
    SEQUENCE = 10
    NO_FIELD = 11

cdef enum:                      # bits by Field: what a frame of a kind must have besides TYPE
    SNAPSHOT_NEEDS = 1 << PRODUCT | 1 << BIDS | 1 << ASKS
    UPDATE_NEEDS = 1 << PRODUCT | 1 << CHANGES
    MATCH_NEEDS = 1 << PRODUCT | 1 << TIME | 1 << SIDE | 1 << PRICE | 1 << SIZE | 1 << TRADE_ID
    HEARTBEAT_NEEDS = 1 << PRODUCT | 1 << SEQUENCE

cdef enum:
    FOREIGN = -1                # a product that this connection does not carry
    UNNAMED = -2                # none seen yet


cdef struct Frame:              # what is known of a frame so far
    fields.Fields noted
    levels.Target target
    Message message
    const Listing *listing
    uint32_t read               # bits by Field: levels that were read where they stood
    int32_t product             # index of the listing, FOREIGN or UNNAMED
    int kind


cdef nogil:
    inline int kind_of(const json.Text *name) noexcept:
        if json.equal(name, "l2update"):
            return L2UPDATE
        if json.equal(name, "match"):
            return MATCH
        if json.equal(name, "heartbeat"):
            return HEARTBEAT
        if json.equal(name, "snapshot"):
            return SNAPSHOT
        if json.equal(name, "subscriptions") or json.equal(name, "error"):
            return SESSION
        if (json.equal(name, "ticker") or json.equal(name, "last_match") or json.equal(name, "status")
                or json.equal(name, "received") or json.equal(name, "open") or json.equal(name, "done")
                or json.equal(name, "change") or json.equal(name, "activate") or json.equal(name, "auction")
                or json.equal(name, "rfq_match")):
            return QUIET
        return UNKNOWN_KIND

    inline int field_of(const json.Text *key) noexcept:
        if json.equal(key, "type"):
            return TYPE
        if json.equal(key, "product_id"):
            return PRODUCT
        if json.equal(key, "changes"):
            return CHANGES
        if json.equal(key, "time"):
            return TIME
        if json.equal(key, "bids"):
            return BIDS
        if json.equal(key, "asks"):
            return ASKS
        if json.equal(key, "side"):
            return SIDE
        if json.equal(key, "price"):
            return PRICE
        if json.equal(key, "size"):
            return SIZE
        if json.equal(key, "trade_id"):
            return TRADE_ID
        if json.equal(key, "sequence"):
            return SEQUENCE
        return NO_FIELD

    inline uint32_t needs_of(int kind) noexcept:
        if kind == SNAPSHOT:
            return SNAPSHOT_NEEDS
        if kind == L2UPDATE:
            return UPDATE_NEEDS
        return MATCH_NEEDS if kind == MATCH else HEARTBEAT_NEEDS

    inline bint holds_levels(int kind, int field) noexcept:
        return field == CHANGES if kind == L2UPDATE else kind == SNAPSHOT and (field == BIDS or field == ASKS)

    inline void read_levels(json.Cursor *c, Frame *frame, int field) noexcept:
        """The cursor stands before the array."""
        cdef uint32_t before = frame.target.count
        if field == CHANGES:
            side_changes.read_changes(c, &frame.target, &frame.message)
            return
        levels.read(c, &frame.target, levels.read_pairs, False)
        if field == BIDS:
            frame.message.bids_begin = before
            frame.message.bids_count = frame.target.count - before
        else:
            frame.message.asks_begin = before
            frame.message.asks_count = frame.target.count - before

    inline bint read_match(json.Cursor *c, Frame *frame) noexcept:
        cdef Message *message = &frame.message
        cdef json.Cursor field
        cdef json.Text text
        if not fields.read_text(c, &frame.noted, SIDE, &field, &text):
            return False
        message.side = side_changes.side_of(&text)
        if message.side == Side.NO_SIDE:
            return json.fail(c, json.BAD_FIELD)
        message.side = Side.SELL if message.side == Side.BUY else Side.BUY      # it is the maker's
        if (not fields.read_decimal(c, &frame.noted, PRICE, frame.listing.price_decimals, &message.price)
                or not fields.read_decimal(c, &frame.noted, SIZE, frame.listing.quantity_decimals, &message.quantity)
                or not fields.read_int64(c, &frame.noted, TRADE_ID, &message.last_id)):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if message.price < 0 or message.quantity < 0 else True


cdef class CoinbaseMarketData(Codec):
    """Decoder of one Coinbase Exchange market data connection.

    Messages
    --------
    One a frame. SNAPSHOT and UPDATE of channels level2 and level2_batch; TRADE of `match`: last_id = trade_id, side =
    the taker's. ALIVE of a heartbeat whose sequence is that of the one before. `last_match` is history: IGNORED, as are
    foreign products, tickers, status and the full channel. Subscriptions and errors are SESSION.
    """

    cdef int64_t *sequences         # by listing, of the last heartbeat

    def configure(self):
        self.sequences = <int64_t *>calloc(max(self.listing_count, 1), sizeof(int64_t))
        if self.sequences is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.sequences)

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        json.open(&c, data, size)
        out.message_count = 0
        out.level_count = 0
        out.report_count = 0
        frame.noted.present = 0
        frame.read = 0
        frame.product = UNNAMED
        frame.kind = NO_KIND
        frame.listing = NULL
        frame.target.levels = out.levels
        frame.target.count = 0
        frame.target.capacity = out.level_capacity
        memset(&frame.message, 0, sizeof(Message))
        if json.enter_object(&c):
            self.read_frame(&c, &frame)
        if c.status == json.GOOD and out.message_capacity == 0:
            json.fail(&c, DecodeStatus.TOO_MANY)
        if c.status != json.GOOD:
            out.fault_listing = frame.product if frame.product >= 0 else -1
            out.fault_offset = json.offset(&c)
            return c.status
        out.messages[0] = frame.message
        out.message_count = 1
        out.level_count = frame.target.count
        out.fault_listing = -1
        out.fault_offset = 0
        return DecodeStatus.DECODED

    cdef void read_frame(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """The keys of the frame, then what could not be read where it stood."""
        cdef json.Text key
        cdef int field
        while json.next_key(c, &key):
            field = field_of(&key)
            if field == NO_FIELD or frame.kind >= QUIET or frame.product == FOREIGN:
                if field == TYPE or field == PRODUCT:
                    self.read_name(c, frame, field)
                else:
                    json.skip_value(c)
            elif field == TYPE or field == PRODUCT:
                self.read_name(c, frame, field)
            elif frame.product >= 0 and holds_levels(frame.kind, field):
                if frame.read >> field & 1 or fields.has(&frame.noted, field):
                    json.fail(c, json.BAD_JSON)
                    return
                frame.read |= <uint32_t>1 << field
                read_levels(c, frame, field)
            else:
                if frame.read >> field & 1:
                    json.fail(c, json.BAD_JSON)
                    return
                fields.note(c, &frame.noted, field)
        if json.finish(c):
            self.conclude(c, frame)

    cdef void read_name(self, json.Cursor *c, Frame *frame, int field) noexcept nogil:
        """The two on which everything else depends."""
        cdef json.Text text
        if frame.read >> field & 1:
            json.fail(c, json.BAD_JSON)
            return
        frame.read |= <uint32_t>1 << field
        if not json.read_text(c, &text):
            return
        if field == TYPE:
            frame.kind = kind_of(&text)
            return
        if text.length > SYMBOL_SIZE:
            json.fail(c, DecodeStatus.BAD_SYMBOL)
            return
        frame.product = find_symbol(&self.symbols, text.data, text.length)
        if frame.product != FOREIGN:
            frame.listing = &self.listings[frame.product]
            frame.target.price_decimals = frame.listing.price_decimals
            frame.target.quantity_decimals = frame.listing.quantity_decimals

    cdef void conclude(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """All keys were seen."""
        cdef Message *message = &frame.message
        message.listing = -1
        if frame.kind == UNKNOWN_KIND or frame.kind == NO_KIND:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if frame.kind >= QUIET:
            message.kind = MessageKind.SESSION if frame.kind == SESSION else MessageKind.IGNORED
            return
        if frame.product == FOREIGN:
            return
        if needs_of(frame.kind) & ~(frame.read | <uint32_t>frame.noted.present):
            json.fail(c, json.BAD_FIELD)
            return
        message.listing = frame.product
        self.read_noted(c, frame)
        if frame.kind == SNAPSHOT:
            message.kind = MessageKind.SNAPSHOT
        elif frame.kind == L2UPDATE:
            message.kind = MessageKind.UPDATE
        elif frame.kind == MATCH:
            message.kind = MessageKind.TRADE

    cdef void read_noted(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """What had to wait for type and product."""
        cdef json.Cursor value
        cdef json.Text text
        cdef int field
        cdef int64_t sequence = 0
        for field in range(<int>BIDS, CHANGES + 1):
            if fields.has(&frame.noted, field) and holds_levels(frame.kind, field):
                fields.enter(&frame.noted, field, &value)
                read_levels(&value, frame, field)
                if not fields.settle(c, &value):
                    return
        if frame.kind == HEARTBEAT:
            if fields.read_int64(c, &frame.noted, SEQUENCE, &sequence):
                frame.message.kind = (MessageKind.ALIVE if sequence == self.sequences[frame.product]
                                      else MessageKind.IGNORED)
                self.sequences[frame.product] = sequence
            return
        if fields.has_value(&frame.noted, TIME):
            if not fields.read_text(c, &frame.noted, TIME, &value, &text):
                return
            if not rfc3339.parse(&text, &frame.message.exchange_ns):
                json.fail(c, json.BAD_FIELD)
                return
        if frame.kind == MATCH:
            read_match(c, frame)

"""Kraken spot market data, WebSocket v2: frames -> messages.

Source: Kraken's "Spot WebSocket API v2", channels book and trade. Prices and quantities are JSON numbers whose digits
count, trailing zeros included: they become integers at the listing's scale without passing through a float, and the
book's checksum is taken over these integers.

A frame is {"channel", "type", "data": [entry, ...]}; an entry is a book or a trade of one symbol. Keys come in this
order, and the symbol comes first; `data`, or a number, that comes before what it depends on is checked, remembered and
read when its object has ended.
"""
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from orderflow._core cimport fixed, json, levels, rfc3339
from orderflow._core.codec cimport SYMBOL_SIZE, Codec, DecodeBuffer, DecodeStatus, find_symbol
from orderflow._core.types cimport ChecksumRule, Listing, Message, MessageKind, Side

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADE = 2
    QUIET = 3                   # known, and of no interest
    SESSION = 4                 # for the session: status, instrument
    UNKNOWN_CHANNEL = 5

cdef enum FrameKey:             # keys of the frame
    CHANNEL = 0
    TYPE = 1
    DATA = 2
    ANSWER = 3                  # method or error: the exchange answers a request

cdef enum Type:
    NO_TYPE = 0
    SNAPSHOT_TYPE = 1
    UPDATE_TYPE = 2
    UNKNOWN_TYPE = 3

cdef enum Field:                # keys of an entry
    SYMBOL = 0
    BIDS = 1
    ASKS = 2
    CHECKSUM = 3
    TIMESTAMP = 4
    SIDE = 5
    PRICE = 6
    QUANTITY = 7
    TRADE_ID = 8
    FIELDS = 9
    NO_FIELD = 9

cdef enum:                      # bits by Field
    BOOK_FIELDS = 1 << SYMBOL | 1 << BIDS | 1 << ASKS | 1 << CHECKSUM | 1 << TIMESTAMP
    TRADE_FIELDS = 1 << SYMBOL | 1 << SIDE | 1 << PRICE | 1 << QUANTITY | 1 << TRADE_ID | 1 << TIMESTAMP
    BOOK_NEEDS = 1 << SYMBOL | 1 << BIDS | 1 << ASKS
    SCALED = 1 << BIDS | 1 << ASKS | 1 << PRICE | 1 << QUANTITY

cdef enum:
    FOREIGN = -1                # a symbol that this connection does not carry
    UNNAMED = -2                # no symbol seen yet


cdef struct Entry:              # what is known of one entry of `data`
    Message *message
    const Listing *listing
    uint32_t seen               # bits by Field
    uint32_t early              # of these, remembered in `values`
    uint32_t read               # what is read at all; the rest is skipped
    int32_t symbol              # index of the listing, FOREIGN or UNNAMED
    bint begins_anew            # a snapshot, no level of it read yet
    const char *values[FIELDS]


cdef nogil:
    inline int channel_of(const json.Text *name) noexcept:
        if json.equal(name, "book"):
            return BOOK
        if json.equal(name, "trade"):
            return TRADE
        if (json.equal(name, "heartbeat") or json.equal(name, "ticker") or json.equal(name, "ohlc")
                or json.equal(name, "level3")):
            return QUIET
        if json.equal(name, "status") or json.equal(name, "instrument"):
            return SESSION
        return UNKNOWN_CHANNEL

    inline int type_of(const json.Text *name) noexcept:
        if json.equal(name, "update"):
            return UPDATE_TYPE
        if json.equal(name, "snapshot"):
            return SNAPSHOT_TYPE
        return UNKNOWN_TYPE

    inline int field_of(const json.Text *key) noexcept:
        if json.equal(key, "symbol"):
            return SYMBOL
        if json.equal(key, "bids"):
            return BIDS
        if json.equal(key, "asks"):
            return ASKS
        if json.equal(key, "checksum"):
            return CHECKSUM
        if json.equal(key, "timestamp"):
            return TIMESTAMP
        if json.equal(key, "side"):
            return SIDE
        if json.equal(key, "price"):
            return PRICE
        if json.equal(key, "qty"):
            return QUANTITY
        if json.equal(key, "trade_id"):
            return TRADE_ID
        return NO_FIELD

    inline bint read_positive(json.Cursor *c, uint8_t decimals, int64_t *out) noexcept:
        if not json.read_number(c, decimals, out):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if out[0] < 0 else True

    inline bint read_levels(json.Cursor *c, levels.Target *target, uint32_t *begin, uint32_t *count) noexcept:
        begin[0] = target.count
        if not levels.read(c, target, levels.read_objects, True):
            return False
        count[0] = target.count - begin[0]
        return True

    inline bint read_time(json.Cursor *c, int64_t *out) noexcept:
        cdef json.Text text
        if not json.read_text(c, &text):
            return False
        return rfc3339.parse(&text, out) or json.fail(c, json.BAD_FIELD)

    inline bint read_side(json.Cursor *c, uint8_t *out) noexcept:
        cdef json.Text text
        if not json.read_text(c, &text):
            return False
        if json.equal(&text, "buy"):
            out[0] = Side.BUY
        elif json.equal(&text, "sell"):
            out[0] = Side.SELL
        else:
            return json.fail(c, json.BAD_FIELD)
        return True


cdef class KrakenMarketData(Codec):
    """Decoder of one Kraken WebSocket v2 market data connection.

    Messages
    --------
    One per entry of `data`. SNAPSHOT and UPDATE of channel book, with checksum_rule where the entry carries one; TRADE
    of channel trade: last_id = trade_id, side = the taker's. Trades of type snapshot are history: IGNORED, as are
    foreign symbols, heartbeats, tickers and candles. Answers to requests, status and instrument are SESSION.
    """

    cdef levels.Digits *digits      # by listing, the most that were seen since its last snapshot

    def configure(self):
        self.digits = <levels.Digits *>calloc(max(self.listing_count, 1), sizeof(levels.Digits))
        if self.digits is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.digits)

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef int32_t listing = -1
        json.open(&c, data, size)
        out.message_count = 0
        out.level_count = 0
        out.report_count = 0
        target.levels = out.levels
        target.count = 0
        target.capacity = out.level_capacity
        if json.enter_object(&c):
            self.read_frame(&c, &target, out, &listing)
        if c.status == json.GOOD:
            out.level_count = target.count
            out.fault_listing = -1
            out.fault_offset = 0
            return DecodeStatus.DECODED
        if out.message_count > 1 and out.messages[0].kind != MessageKind.TRADE:
            listing = -1                # books of earlier entries miss this frame too: which, nobody needs to know
        out.message_count = 0
        out.fault_listing = listing
        out.fault_offset = json.offset(&c)
        return c.status

    cdef void read_frame(self, json.Cursor *c, levels.Target *target, DecodeBuffer *out,
                         int32_t *listing) noexcept nogil:
        """The keys of the whole frame; *listing becomes that of the entry at fault."""
        cdef json.Text key, text
        cdef const char *late = NULL
        cdef int channel = NO_CHANNEL
        cdef int frame_type = NO_TYPE
        cdef uint32_t seen = 0
        cdef uint32_t bit
        while json.next_key(c, &key):
            if json.equal(&key, "channel"):
                bit = 1 << CHANNEL
            elif json.equal(&key, "type"):
                bit = 1 << TYPE
            elif json.equal(&key, "data"):
                bit = 1 << DATA
            elif json.equal(&key, "method") or json.equal(&key, "error"):
                seen |= 1 << ANSWER
                json.skip_value(c)
                continue
            else:
                json.skip_value(c)
                continue
            if seen & bit:
                json.fail(c, json.BAD_JSON)
                return
            seen |= bit
            if bit == 1 << CHANNEL:
                if json.read_text(c, &text):
                    channel = channel_of(&text)
            elif bit == 1 << TYPE:
                if json.read_text(c, &text):
                    frame_type = type_of(&text)
            elif channel == NO_CHANNEL or (channel <= TRADE and frame_type == NO_TYPE):
                json.peek(c)
                late = c.at
                json.skip_value(c)
            else:
                self.read_data(c, channel, frame_type, target, out, listing)
        if not json.finish(c):
            return
        if late is not NULL and seen & 1 << CHANNEL:
            c.at = late
            self.read_data(c, channel, frame_type, target, out, listing)
        if channel == NO_CHANNEL or channel >= QUIET or out.message_count == 0:
            self.conclude(c, channel, seen, out)

    cdef void conclude(self, json.Cursor *c, int channel, uint32_t seen, DecodeBuffer *out) noexcept nogil:
        """A frame without entries of ours: what is it?"""
        cdef Message *message
        if c.status != json.GOOD:
            return
        if channel == UNKNOWN_CHANNEL or (channel == NO_CHANNEL and not seen & 1 << ANSWER):
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if (channel == BOOK or channel == TRADE) and seen & (1 << DATA | 1 << TYPE) != (1 << DATA | 1 << TYPE):
            json.fail(c, json.BAD_FIELD)
            return
        message = self.add(c, out)
        if message is not NULL and (channel == SESSION or channel == NO_CHANNEL):
            message.kind = MessageKind.SESSION

    cdef Message *add(self, json.Cursor *c, DecodeBuffer *out) noexcept nogil:
        """A new message, IGNORED so far; NULL if there is no room."""
        cdef Message *message
        if out.message_count == out.message_capacity:
            json.fail(c, DecodeStatus.TOO_MANY)
            return NULL
        message = &out.messages[out.message_count]
        out.message_count += 1
        memset(message, 0, sizeof(Message))
        message.listing = -1
        return message

    cdef void read_data(self, json.Cursor *c, int channel, int frame_type, levels.Target *target, DecodeBuffer *out,
                        int32_t *listing) noexcept nogil:
        cdef Entry entry
        if channel >= QUIET or (channel == TRADE and frame_type == SNAPSHOT_TYPE):
            json.skip_value(c)
            return
        if frame_type != SNAPSHOT_TYPE and frame_type != UPDATE_TYPE:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE if frame_type == UNKNOWN_TYPE else json.BAD_FIELD)
            return
        if not json.enter_array(c):
            return
        while json.next_element(c):
            entry.message = self.add(c, out)
            if entry.message is NULL:
                return
            listing[0] = -1
            entry.seen = 0
            entry.early = 0
            entry.symbol = UNNAMED
            entry.begins_anew = frame_type == SNAPSHOT_TYPE
            entry.read = BOOK_FIELDS if channel == BOOK else TRADE_FIELDS
            if not self.read_entry(c, &entry, target, listing):
                return
            if entry.symbol == FOREIGN:
                continue
            if (BOOK_NEEDS if channel == BOOK else TRADE_FIELDS) & ~entry.seen:
                json.fail(c, json.BAD_FIELD)
                return
            if channel == TRADE:
                entry.message.kind = MessageKind.TRADE
            else:
                entry.message.kind = MessageKind.SNAPSHOT if frame_type == SNAPSHOT_TYPE else MessageKind.UPDATE

    cdef bint read_entry(self, json.Cursor *c, Entry *entry, levels.Target *target, int32_t *listing) noexcept nogil:
        """One object of `data`."""
        cdef json.Text key
        cdef int field
        cdef uint32_t bit
        cdef const char *at
        if not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            field = field_of(&key)
            bit = <uint32_t>1 << field
            if not entry.read & bit:
                json.skip_value(c)
                continue
            if entry.seen & bit:
                return json.fail(c, json.BAD_JSON)
            entry.seen |= bit
            if entry.symbol == FOREIGN:
                json.skip_value(c)
            elif entry.symbol == UNNAMED and SCALED & bit:
                json.peek(c)
                entry.values[field] = c.at
                entry.early |= bit
                json.skip_value(c)
            else:
                self.read_field(c, entry, field, target, listing)
        if c.status != json.GOOD or entry.symbol == FOREIGN or entry.early == 0:
            return c.status == json.GOOD
        if entry.symbol == UNNAMED:
            return json.fail(c, json.BAD_FIELD)
        at = c.at
        while entry.early:
            field = <int>fixed.count_trailing_zeros(entry.early)
            entry.early &= entry.early - 1
            c.at = entry.values[field]
            if not self.read_field(c, entry, field, target, listing):
                return False
        c.at = at
        return True

    cdef bint read_side_of_book(self, json.Cursor *c, Entry *entry, int field, levels.Target *target) noexcept nogil:
        cdef Message *message = entry.message
        cdef levels.Digits *most = &self.digits[entry.symbol]
        cdef bint good
        if entry.begins_anew:           # or one garbled number would spoil every later checksum
            most.price = most.quantity = 0
            entry.begins_anew = False
        target.digits = most[0]
        if field == BIDS:
            good = read_levels(c, target, &message.bids_begin, &message.bids_count)
        else:
            good = read_levels(c, target, &message.asks_begin, &message.asks_count)
        if good:
            most[0] = target.digits
        message.price_zeros = <int8_t>(target.digits.price - entry.listing.price_decimals)
        message.quantity_zeros = <int8_t>(target.digits.quantity - entry.listing.quantity_decimals)
        return good

    cdef bint read_field(self, json.Cursor *c, Entry *entry, int field, levels.Target *target,
                         int32_t *listing) noexcept nogil:
        cdef Message *message = entry.message
        cdef json.Text text
        if field == SYMBOL:
            if not json.read_text(c, &text):
                return False
            if text.length > SYMBOL_SIZE:
                return json.fail(c, DecodeStatus.BAD_SYMBOL)
            entry.symbol = find_symbol(&self.symbols, text.data, text.length)
            listing[0] = entry.symbol
            message.listing = entry.symbol
            if entry.symbol != FOREIGN:
                entry.listing = &self.listings[entry.symbol]
                target.price_decimals = entry.listing.price_decimals
                target.quantity_decimals = entry.listing.quantity_decimals
            return True
        elif field == BIDS or field == ASKS:
            return self.read_side_of_book(c, entry, field, target)
        elif field == CHECKSUM:
            message.checksum_rule = ChecksumRule.KRAKEN_CHECKSUM
            return json.read_uint32(c, &message.checksum)
        elif field == TIMESTAMP:
            return read_time(c, &message.exchange_ns)
        elif field == SIDE:
            return read_side(c, &message.side)
        elif field == PRICE:
            return read_positive(c, entry.listing.price_decimals, &message.price)
        elif field == QUANTITY:
            return read_positive(c, entry.listing.quantity_decimals, &message.quantity)
        return json.read_int64(c, &message.last_id)

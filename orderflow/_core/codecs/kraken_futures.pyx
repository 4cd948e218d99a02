"""Kraken Futures market data, WebSocket v1: frames -> messages.

Source: Kraken's "Futures WebSocket API", feeds book and trade.

A frame is one flat object: {"feed", "product_id", ...} of market data, {"event", ...} of everything else. A book begins
with `book_snapshot`; after that each frame of `book` sets one level, and its `seq` is one more than that of the frame
of the same product before it. The feed and the product come first; what comes before them is checked, remembered and
read when the frame has ended.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport Level, Listing, Message, MessageKind, Side

cdef enum Feed:
    NO_FEED = 0
    BOOK = 1
    BOOK_SNAPSHOT = 2
    TRADE = 3
    QUIET = 4                   # known, and of no interest
    UNKNOWN_FEED = 5

cdef enum Key:
    FEED = 0
    PRODUCT = 1
    EVENT = 2
    SIDE = 3
    SEQUENCE = 4
    PRICE = 5
    QUANTITY = 6
    TIMESTAMP = 7               # of books
    TIME = 8                    # of trades
    BIDS = 9
    ASKS = 10
    KEYS = 11
    NO_KEY = 11

cdef enum:                      # bits by Key
    LEVEL_NEEDS = 1 << SIDE | 1 << SEQUENCE | 1 << PRICE | 1 << QUANTITY
    LEVEL_KEYS = LEVEL_NEEDS | 1 << TIMESTAMP
    SNAPSHOT_NEEDS = 1 << SEQUENCE | 1 << BIDS | 1 << ASKS
    SNAPSHOT_KEYS = SNAPSHOT_NEEDS | 1 << TIMESTAMP
    TRADE_NEEDS = 1 << SIDE | 1 << SEQUENCE | 1 << PRICE | 1 << QUANTITY | 1 << TIME


cdef struct Frame:
    const Listing *listing
    uint32_t seen               # bits by Key
    uint32_t early              # of these, remembered in `values`
    uint32_t wanted             # what the feed's frames are read for
    int32_t symbol
    int feed
    bint quiet_event            # an event that the session need not see
    const char *values[KEYS]


cdef nogil:
    inline int feed_of(const json.Text *name) noexcept:
        if json.equal(name, "book"):
            return BOOK
        if json.equal(name, "trade"):
            return TRADE
        if json.equal(name, "book_snapshot"):
            return BOOK_SNAPSHOT
        if (json.equal(name, "trade_snapshot") or json.equal(name, "ticker") or json.equal(name, "ticker_lite")
                or json.equal(name, "heartbeat")):
            return QUIET
        return UNKNOWN_FEED

    inline uint32_t wanted_of(int feed) noexcept:
        if feed == BOOK:
            return LEVEL_KEYS
        if feed == BOOK_SNAPSHOT:
            return SNAPSHOT_KEYS
        return TRADE_NEEDS if feed == TRADE else 0

    inline uint32_t needs_of(int feed) noexcept:
        if feed == BOOK:
            return LEVEL_NEEDS
        return SNAPSHOT_NEEDS if feed == BOOK_SNAPSHOT else TRADE_NEEDS

    inline int key_of(const json.Text *key) noexcept:
        if json.equal(key, "feed"):
            return FEED
        if json.equal(key, "product_id"):
            return PRODUCT
        if json.equal(key, "side"):
            return SIDE
        if json.equal(key, "seq"):
            return SEQUENCE
        if json.equal(key, "price"):
            return PRICE
        if json.equal(key, "qty"):
            return QUANTITY
        if json.equal(key, "timestamp"):
            return TIMESTAMP
        if json.equal(key, "time"):
            return TIME
        if json.equal(key, "bids"):
            return BIDS
        if json.equal(key, "asks"):
            return ASKS
        if json.equal(key, "event"):
            return EVENT
        return NO_KEY

    inline bint read_sequence(json.Cursor *c, int64_t *out) noexcept:
        if not json.read_int64(c, out):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if out[0] < 0 else True

    inline bint read_side(json.Cursor *c, levels.Target *target, uint32_t *first, uint32_t *count) noexcept:
        """One side of a snapshot."""
        first[0] = target.count
        if not levels.read(c, target, levels.read_objects, True):
            return False
        count[0] = target.count - first[0]
        return True


cdef class KrakenFuturesMarketData(Codec):
    """Decoder of one Kraken Futures market data connection.

    Messages
    --------
    SNAPSHOT of book_snapshot, UPDATE of one level of book, chained by seq. TRADE of trade: last_id = seq, side = the
    taker's. Events are SESSION, but for pongs. trade_snapshot is history: IGNORED, as are foreign products, tickers and
    heartbeats.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef Message *message
        cdef Frame frame
        frame.seen = frame.early = frame.wanted = 0
        frame.symbol = pair_books.UNNAMED
        frame.feed = NO_FEED
        frame.quiet_event = False
        pair_books.begin(&c, &target, data, size, out)
        message = pair_books.add(&c, out)
        if message is not NULL and json.enter_object(&c):
            self.read_frame(&c, &frame, message, &target)
        return pair_books.end(&c, &target, out, frame.symbol)

    cdef void read_frame(self, json.Cursor *c, Frame *frame, Message *message, levels.Target *target) noexcept nogil:
        cdef json.Text key
        cdef int name
        while json.next_key(c, &key):
            name = key_of(&key)
            if name == NO_KEY:
                json.skip_value(c)
            elif not pair_books.once(c, &frame.seen, <uint32_t>1 << name):
                return
            elif name <= EVENT:
                self.read_name(c, frame, name, message, target)
            elif frame.feed == NO_FEED or frame.symbol == pair_books.UNNAMED:
                json.peek(c)
                frame.values[name] = c.at
                frame.early |= <uint32_t>1 << name
                json.skip_value(c)
            elif frame.symbol == pair_books.FOREIGN or not frame.wanted >> name & 1:
                json.skip_value(c)
            else:
                self.read_value(c, frame, name, message, target)
        if json.finish(c):
            self.conclude(c, frame, message, target)

    cdef void read_name(self, json.Cursor *c, Frame *frame, int name, Message *message,
                        levels.Target *target) noexcept nogil:
        """What says what a frame is about."""
        cdef json.Text text
        if not json.read_text(c, &text):
            return
        if name == FEED:
            frame.feed = feed_of(&text)
            frame.wanted = wanted_of(frame.feed)
        elif name == EVENT:
            frame.quiet_event = json.equal(&text, "pong")
        elif pair_books.find(c, &self.symbols, text.data, text.length, &frame.symbol):
            message.listing = frame.symbol
            if frame.symbol >= 0:
                frame.listing = &self.listings[frame.symbol]
                target.price_decimals = frame.listing.price_decimals
                target.quantity_decimals = frame.listing.quantity_decimals

    cdef void read_value(self, json.Cursor *c, Frame *frame, int name, Message *message,
                         levels.Target *target) noexcept nogil:
        if name == SIDE:
            pair_books.read_taker(c, "buy", "sell", &message.side)
        elif name == SEQUENCE:
            read_sequence(c, &message.last_id)
        elif name == PRICE:
            pair_books.read_positive(c, frame.listing.price_decimals, &message.price)
        elif name == QUANTITY:
            pair_books.read_positive(c, frame.listing.quantity_decimals, &message.quantity)
        elif name == BIDS:
            read_side(c, target, &message.bids_begin, &message.bids_count)
        elif name == ASKS:
            read_side(c, target, &message.asks_begin, &message.asks_count)
        else:
            pair_books.read_time(c, &message.exchange_ns)

    cdef void conclude(self, json.Cursor *c, Frame *frame, Message *message, levels.Target *target) noexcept nogil:
        """The frame has ended: what is it?"""
        cdef int name
        if frame.seen >> EVENT & 1:
            message.listing = -1
            message.kind = MessageKind.IGNORED if frame.quiet_event else MessageKind.SESSION
            return
        if frame.feed == NO_FEED or frame.feed == UNKNOWN_FEED:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if frame.feed == QUIET or frame.symbol == pair_books.FOREIGN:
            return
        if frame.symbol == pair_books.UNNAMED or needs_of(frame.feed) & ~frame.seen:
            json.fail(c, json.BAD_FIELD)
            return
        frame.early &= frame.wanted
        while frame.early:
            name = <int>fixed.count_trailing_zeros(frame.early)
            frame.early &= frame.early - 1
            c.at = frame.values[name]
            self.read_value(c, frame, name, message, target)
            if c.status != json.GOOD:
                return
        if frame.feed == TRADE:
            message.kind = MessageKind.TRADE
            return
        message.has_chain = 1
        message.first_id = message.last_id
        if frame.feed == BOOK_SNAPSHOT:
            message.kind = MessageKind.SNAPSHOT
        else:
            message.previous_id = message.last_id - 1
            self.change_level(c, message, target)

    cdef void change_level(self, json.Cursor *c, Message *message, levels.Target *target) noexcept nogil:
        """The price and quantity of a book frame are a level."""
        cdef Level *level
        if target.count == target.capacity:
            json.fail(c, DecodeStatus.TOO_MANY)
            return
        level = &target.levels[target.count]
        level.price = message.price
        level.quantity = message.quantity
        message.bids_begin = target.count
        message.asks_begin = target.count
        if message.side == Side.BUY:
            message.bids_count = 1
        else:
            message.asks_count = 1
        target.count += 1
        message.price = message.quantity = 0
        message.side = 0
        message.kind = MessageKind.UPDATE

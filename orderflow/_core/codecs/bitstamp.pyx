"""Bitstamp market data, WebSocket v2 and REST order books: frames -> messages.

Source: Bitstamp's "WebSocket API v2" (channels live_trades and diff_order_book) and "HTTP API" (order book).

A frame is {"data": {...}, "channel": "diff_order_book_btcusd", "event": "data"}: what gives its numbers their meaning
comes last. So the end of the frame is looked at first; where it is not spelt as usual, `data` is checked, remembered
and read when the frame has ended. One frame is about one listing.

Updates have no sequence: their microtimestamps only grow, and so does that of the REST snapshot which they are joined
with. Trades carry their numbers twice, as floats and as texts; the texts count.
"""
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memcmp, memset

from orderflow._core cimport json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport Listing, Message, MessageKind, Side

cdef enum:
    MICROSECOND_NS = 1_000
    LONGEST_CHANNEL = 64        # of ours, and more

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    UNKNOWN_CHANNEL = 4

cdef enum Event:
    NO_EVENT = 0
    DATA_EVENT = 1
    TRADE_EVENT = 2
    HEARTBEAT = 3
    SERVICE = 4                 # bts:...: an answer, an error, a notice
    OTHER_EVENT = 5             # of other channels

cdef enum FrameKey:             # bits
    DATA = 1
    CHANNEL = 2
    EVENT = 4

cdef enum BookKey:              # bits
    BOOK_TIME = 1
    BIDS = 2
    ASKS = 4
    BOOK_NEEDS = BOOK_TIME | BIDS | ASKS

cdef enum TradeKey:             # bits
    TRADE_ID = 1
    TYPE = 2
    TRADE_TIME = 4
    PRICE = 8
    QUANTITY = 16
    TRADE_NEEDS = TRADE_ID | TYPE | TRADE_TIME | PRICE | QUANTITY


cdef struct Frame:
    const char *late            # `data` that came too early
    const char *named           # where the channel stands that was found from the end
    const Listing *listing
    uint32_t seen
    int32_t symbol
    int channel
    int event


cdef nogil:
    inline bint begins_with(const json.Text *text, const char *word, uint32_t length) noexcept:
        return text.length >= length and memcmp(text.data, word, length) == 0

    inline int channel_of(const json.Text *name, uint32_t *prefix) noexcept:
        """The channel, and how many characters come before its symbol."""
        if begins_with(name, "diff_order_book_", 16):
            prefix[0] = 16
            return BOOK
        if begins_with(name, "live_trades_", 12):
            prefix[0] = 12
            return TRADES
        if (begins_with(name, "order_book_", 11) or begins_with(name, "detail_order_book_", 18)
                or begins_with(name, "live_orders_", 12) or begins_with(name, "funding_rate_", 13)
                or begins_with(name, "private-", 8)):
            return QUIET
        return UNKNOWN_CHANNEL if name.length else NO_CHANNEL

    inline int event_of(const json.Text *name) noexcept:
        if json.equal(name, "data"):
            return DATA_EVENT
        if json.equal(name, "trade"):
            return TRADE_EVENT
        if json.equal(name, "bts:heartbeat"):
            return HEARTBEAT
        return SERVICE if begins_with(name, "bts:", 4) else OTHER_EVENT

    inline bint carries(int channel, int event) noexcept:
        """Whether that event of that channel is market data of ours."""
        return (channel == BOOK and event == DATA_EVENT) or (channel == TRADES and event == TRADE_EVENT)

    inline bint read_microseconds(json.Cursor *c, int64_t *microseconds, int64_t *nanoseconds) noexcept:
        """Unix microseconds, in quotes or bare."""
        if not pair_books.read_integer(c, microseconds):
            return False
        if not 0 <= microseconds[0] <= INT64_MAX // MICROSECOND_NS:
            return json.fail(c, json.BAD_FIELD)
        nanoseconds[0] = microseconds[0] * MICROSECOND_NS
        return True

    inline bint read_trade_time(json.Cursor *c, Message *message) noexcept:
        cdef int64_t microseconds = 0
        return read_microseconds(c, &microseconds, &message.exchange_ns)

    inline bint read_side(json.Cursor *c, Message *message) noexcept:
        """0: a buyer took; 1: a seller."""
        cdef int64_t value = 0
        if not pair_books.read_integer(c, &value):
            return False
        if value != 0 and value != 1:
            return json.fail(c, json.BAD_FIELD)
        message.side = Side.SELL if value else Side.BUY
        return True

    inline void look_ahead(Frame *frame, const char *data, size_t size, json.Text *name) noexcept:
        """The event and the channel of a frame that ends as usual. Quotes and commas of its last bytes can be nothing
        but those of the frame's own keys, if the frame is whole; if it is not, it is refused anyway."""
        cdef const char *p
        cdef const char *end
        name.length = 0
        if size > LONGEST_CHANNEL + 32 and memcmp(data + size - 16, b',"event":"data"}', 16) == 0:
            end = data + size - 17
            frame.event = DATA_EVENT
        elif size > LONGEST_CHANNEL + 32 and memcmp(data + size - 17, b',"event":"trade"}', 17) == 0:
            end = data + size - 18
            frame.event = TRADE_EVENT
        else:
            return
        p = end - 1
        while end - p < LONGEST_CHANNEL and p[0] != b'"':
            p -= 1
        if end[0] == b'"' and p[0] == b'"' and memcmp(p - 11, b',"channel":', 11) == 0:
            name.data = p + 1
            name.length = <uint32_t>(end - p - 1)
            frame.named = p
        else:
            frame.event = NO_EVENT


cdef class BitstampMarketData(Codec):
    """Decoder of one Bitstamp market data connection and of REST order books.

    Messages
    --------
    UPDATE of diff_order_book_*, first_id = last_id = microtimestamp; SNAPSHOT of a REST body, last_id =
    microtimestamp; TRADE of live_trades_*: last_id = id, side = the taker's. Answers and notices (bts:...) are SESSION;
    heartbeats, other channels and foreign symbols IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef Frame frame
        cdef json.Text name
        pair_books.begin(&c, &target, data, size, out)
        memset(&frame, 0, sizeof(Frame))
        frame.symbol = pair_books.UNNAMED
        look_ahead(&frame, data, size, &name)
        if name.length:
            self.name(&c, &frame, &name)
            if frame.symbol < 0 or not carries(frame.channel, frame.event) or c.status != json.GOOD:
                json.open(&c, data, size)           # not ours, or not what it seems: take it key by key
                memset(&frame, 0, sizeof(Frame))
                frame.symbol = pair_books.UNNAMED
        if json.enter_object(&c):
            self.read_frame(&c, &frame, &target, out)
        return pair_books.end(&c, &target, out, frame.symbol)

    cdef int decode_snapshot(self, int32_t listing, const char *data, size_t size, int64_t receive_ns,
                             DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef Frame frame
        cdef Message *message
        pair_books.begin(&c, &target, data, size, out)
        if not 0 <= listing < <int32_t>self.listing_count:
            json.fail(&c, DecodeStatus.BAD_SYMBOL)
            return pair_books.end(&c, &target, out, -1)
        frame.symbol = listing
        frame.listing = &self.listings[listing]
        message = pair_books.add(&c, out)
        if message is not NULL and json.enter_object(&c):
            self.read_book(&c, &frame, message, &target)
            message.kind = MessageKind.SNAPSHOT
            json.finish(&c)
        return pair_books.end(&c, &target, out, listing)

    cdef bint name(self, json.Cursor *c, Frame *frame, const json.Text *text) noexcept nogil:
        """From here on it is known whose frame this is."""
        cdef uint32_t prefix = 0
        frame.channel = channel_of(text, &prefix)
        if prefix == 0:
            return True
        if not pair_books.find(c, &self.symbols, text.data + prefix, text.length - prefix, &frame.symbol):
            return False
        if frame.symbol != pair_books.FOREIGN:
            frame.listing = &self.listings[frame.symbol]
        return True

    cdef void read_frame(self, json.Cursor *c, Frame *frame, levels.Target *target, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        while json.next_key(c, &key):
            if json.equal(&key, "data"):
                if not pair_books.once(c, &frame.seen, DATA):
                    return
                if carries(frame.channel, frame.event):
                    self.read_data(c, frame, target, out)
                else:
                    json.peek(c)
                    frame.late = c.at
                    json.skip_value(c)
            elif json.equal(&key, "channel"):
                if not pair_books.once(c, &frame.seen, CHANNEL):
                    return
                json.peek(c)
                if c.at == frame.named:
                    json.skip_scalar(c)
                elif json.read_text(c, &text):
                    self.name(c, frame, &text)
            elif json.equal(&key, "event"):
                if pair_books.once(c, &frame.seen, EVENT) and json.read_text(c, &text):
                    frame.event = event_of(&text)
            else:
                json.skip_value(c)
        if not json.finish(c):
            return
        if frame.late is not NULL and carries(frame.channel, frame.event):
            c.at = frame.late
            self.read_data(c, frame, target, out)
        if out.message_count == 0:
            self.conclude(c, frame, out)

    cdef void conclude(self, json.Cursor *c, const Frame *frame, DecodeBuffer *out) noexcept nogil:
        """A frame without market data of ours: what is it?"""
        cdef Message *message
        if c.status != json.GOOD:
            return
        if frame.event == NO_EVENT or (frame.event < HEARTBEAT and frame.channel == NO_CHANNEL):
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE if frame.channel == NO_CHANNEL else json.BAD_FIELD)
            return
        if frame.event != HEARTBEAT and frame.event != SERVICE:
            if frame.channel == UNKNOWN_CHANNEL or (frame.channel != QUIET
                                                    and not carries(frame.channel, frame.event)):
                json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
                return
            if frame.channel != QUIET and not frame.seen & DATA:
                json.fail(c, json.BAD_FIELD)
                return
        message = pair_books.add(c, out)
        if message is not NULL and frame.event == SERVICE:
            message.kind = MessageKind.SESSION

    cdef void read_data(self, json.Cursor *c, const Frame *frame, levels.Target *target,
                        DecodeBuffer *out) noexcept nogil:
        cdef Message *message
        if frame.symbol == pair_books.FOREIGN:
            json.skip_value(c)
            return
        message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return
        if frame.channel == BOOK:
            self.read_book(c, frame, message, target)
            message.kind = MessageKind.UPDATE
        else:
            self.read_trade(c, frame, message)

    cdef void read_book(self, json.Cursor *c, const Frame *frame, Message *message,
                        levels.Target *target) noexcept nogil:
        """An update, or the answer of REST: they look the same."""
        cdef json.Text key
        cdef uint32_t seen = 0
        message.listing = frame.symbol
        target.price_decimals = frame.listing.price_decimals
        target.quantity_decimals = frame.listing.quantity_decimals
        while json.next_key(c, &key):
            if json.equal(&key, "microtimestamp"):
                if pair_books.once(c, &seen, BOOK_TIME):
                    read_microseconds(c, &message.last_id, &message.exchange_ns)
            elif json.equal(&key, "bids"):
                if pair_books.once(c, &seen, BIDS):
                    pair_books.read_side(c, target, levels.read_pairs, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "asks"):
                if pair_books.once(c, &seen, ASKS):
                    pair_books.read_side(c, target, levels.read_pairs, &message.asks_begin, &message.asks_count)
            else:
                json.skip_value(c)
        if BOOK_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
        message.first_id = message.last_id
        message.has_chain = 1

    cdef void read_trade(self, json.Cursor *c, const Frame *frame, Message *message) noexcept nogil:
        cdef json.Text key
        cdef uint32_t seen = 0
        message.listing = frame.symbol
        while json.next_key(c, &key):
            if json.equal(&key, "id"):
                if pair_books.once(c, &seen, TRADE_ID):
                    pair_books.read_integer(c, &message.last_id)
            elif json.equal(&key, "amount_str"):
                if pair_books.once(c, &seen, QUANTITY):
                    pair_books.read_positive(c, frame.listing.quantity_decimals, &message.quantity)
            elif json.equal(&key, "price_str"):
                if pair_books.once(c, &seen, PRICE):
                    pair_books.read_positive(c, frame.listing.price_decimals, &message.price)
            elif json.equal(&key, "type"):
                if pair_books.once(c, &seen, TYPE):
                    read_side(c, message)
            elif json.equal(&key, "microtimestamp"):
                if pair_books.once(c, &seen, TRADE_TIME):
                    read_trade_time(c, message)
            else:
                json.skip_value(c)
        if TRADE_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        message.kind = MessageKind.TRADE

"""Bybit v5 market data of spot, linear and inverse: frames -> messages.

Source: Bybit's "V5 API", WebSocket Stream, Public: Orderbook and Trade.

A frame is {"topic", "type", "ts", "data", "cts"} and the topic names the listing: orderbook.50.BTCUSDT. The products
order the keys differently; `data` that comes before topic or type is checked, remembered and read when the frame has
ended. `u` grows by one with every frame of a book's topic; 1 says that the service began anew, with a whole book.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcmp, memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport Listing, Message, MessageKind

cdef enum Topic:
    NO_TOPIC = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    UNKNOWN_TOPIC = 4

cdef enum Type:
    NO_TYPE = 0
    SNAPSHOT_TYPE = 1
    DELTA_TYPE = 2
    UNKNOWN_TYPE = 3

cdef enum FrameKey:             # bits
    TOPIC = 1
    TYPE = 2
    DATA = 4
    TIME = 8
    ENGINE_TIME = 16
    ANSWER = 32                 # op or retCode: an answer to a request
    PONG = 64                   # to a ping

cdef enum BookKey:              # bits
    BIDS = 1
    ASKS = 2
    UPDATE_ID = 4
    BOOK_NEEDS = BIDS | ASKS | UPDATE_ID

cdef enum TradeKey:             # bits
    TRADE_TIME = 1
    SIDE = 2
    QUANTITY = 4
    PRICE = 8
    TRADE_ID = 16
    TRADE_NEEDS = TRADE_TIME | SIDE | QUANTITY | PRICE | TRADE_ID


cdef struct Frame:
    const char *late            # `data` that came too early
    const Listing *listing
    int64_t time_ns             # when the frame was made
    int64_t engine_ns           # when the matching engine made what it tells; better, where it is given
    uint32_t seen
    int32_t symbol
    int topic
    int type


cdef nogil:
    inline bint begins_with(const json.Text *text, const char *word, uint32_t length) noexcept:
        return text.length > length and memcmp(text.data, word, length) == 0

    inline int topic_of(const json.Text *name, uint32_t *symbol_at) noexcept:
        """What a topic is about, and where in it the symbol of a book or of trades begins."""
        cdef uint32_t at = 10
        if name.length > json.SCRATCH_SIZE:     # an escaped one is cut there
            return UNKNOWN_TOPIC
        if begins_with(name, "orderbook.", 10):
            while at < name.length and fixed.is_digit(name.data[at]):
                at += 1
            if at == 10 or at + 1 >= name.length or name.data[at] != b".":
                return QUIET            # orderbook.full, orderbook.rpi
            if name.data[10] == b"0":
                return UNKNOWN_TOPIC
            if at == 11 and name.data[10] == b"1":
                return QUIET            # one level a side: not a book, and of the same symbol as one
            symbol_at[0] = at + 1
            return BOOK
        if begins_with(name, "publicTrade.", 12):
            symbol_at[0] = 12
            return TRADES
        if (begins_with(name, "tickers.", 8) or begins_with(name, "kline.", 6)
                or begins_with(name, "allLiquidation.", 15) or begins_with(name, "liquidation.", 12)
                or begins_with(name, "priceLimit.", 11) or begins_with(name, "insurance.", 10)
                or begins_with(name, "adlAlert.", 9)):
            return QUIET
        return UNKNOWN_TOPIC

    inline int type_of(const json.Text *name) noexcept:
        if json.equal(name, "delta"):
            return DELTA_TYPE
        if json.equal(name, "snapshot"):
            return SNAPSHOT_TYPE
        return UNKNOWN_TYPE

    inline bint read_trade_id(json.Cursor *c, int64_t *out) noexcept:
        """A number in quotes on spot; a UUID elsewhere, which is 0."""
        cdef const char *after
        if json.peek(c) == b'"' and fixed.parse(c.at + 1, c.end, 0, out, &after) == fixed.EXACT and (
                after < c.end and after[0] == b'"'):
            c.at = after + 1
            return True
        out[0] = 0
        return json.skip_value(c)


cdef class BybitV5MarketData(Codec):
    """Decoder of one Bybit v5 public connection.

    Messages
    --------
    SNAPSHOT and UPDATE of the topics orderbook.N with N of more than one level, chained by `u`; TRADE of publicTrade:
    side = the taker's, last_id = its number, 0 where it is a UUID. Answers are SESSION. Foreign symbols, other topics
    and pongs are IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef Frame frame
        pair_books.begin(&c, &target, data, size, out)
        memset(&frame, 0, sizeof(Frame))
        frame.symbol = pair_books.UNNAMED
        if json.enter_object(&c):
            self.read_frame(&c, &frame, &target, out)
        return pair_books.end(&c, &target, out, frame.symbol)

    cdef void read_frame(self, json.Cursor *c, Frame *frame, levels.Target *target, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        while json.next_key(c, &key):
            if json.equal(&key, "topic"):
                if pair_books.once(c, &frame.seen, TOPIC) and json.read_text(c, &text):
                    self.read_topic(c, frame, &text)
            elif json.equal(&key, "type"):
                if pair_books.once(c, &frame.seen, TYPE) and json.read_text(c, &text):
                    frame.type = type_of(&text)
            elif json.equal(&key, "ts"):
                if pair_books.once(c, &frame.seen, TIME):
                    pair_books.read_time(c, &frame.time_ns)
            elif json.equal(&key, "cts"):
                if pair_books.once(c, &frame.seen, ENGINE_TIME):
                    pair_books.read_time(c, &frame.engine_ns)
            elif json.equal(&key, "data"):
                if not pair_books.once(c, &frame.seen, DATA):
                    return
                if frame.topic == NO_TOPIC or (frame.topic == BOOK and frame.type == NO_TYPE):
                    json.peek(c)
                    frame.late = c.at
                    json.skip_value(c)
                else:
                    self.read_data(c, frame, target, out)
            elif not self.read_answer(c, frame, &key):
                json.skip_value(c)
        if not json.finish(c):
            return
        if frame.late is not NULL and frame.topic != NO_TOPIC:
            c.at = frame.late
            self.read_data(c, frame, target, out)
        if out.message_count == 0:
            self.conclude(c, frame, out)
        elif frame.topic == BOOK:
            out.messages[0].exchange_ns = frame.engine_ns if frame.engine_ns else frame.time_ns

    cdef void read_topic(self, json.Cursor *c, Frame *frame, const json.Text *name) noexcept nogil:
        cdef uint32_t at = 0
        frame.topic = topic_of(name, &at)
        if at and pair_books.find(c, &self.symbols, name.data + at, name.length - at, &frame.symbol) and (
                frame.symbol != pair_books.FOREIGN):
            frame.listing = &self.listings[frame.symbol]

    cdef bint read_answer(self, json.Cursor *c, Frame *frame, const json.Text *key) noexcept nogil:
        """op and retCode, which only answers have. False for another key."""
        cdef json.Text text
        if json.equal(key, "retCode"):
            frame.seen |= ANSWER
            return json.skip_value(c)
        if not json.equal(key, "op"):
            return False
        if not pair_books.once(c, &frame.seen, ANSWER) or not json.read_text(c, &text):
            return True
        if json.equal(&text, "ping") or json.equal(&text, "pong"):
            frame.seen |= PONG
        return True

    cdef void conclude(self, json.Cursor *c, const Frame *frame, DecodeBuffer *out) noexcept nogil:
        """A frame without entries of ours: what is it?"""
        cdef Message *message
        if c.status != json.GOOD:
            return
        if frame.topic == UNKNOWN_TOPIC or not frame.seen & (TOPIC | ANSWER):
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if frame.seen & TOPIC and frame.topic != QUIET and not frame.seen & DATA:
            json.fail(c, json.BAD_FIELD)
            return
        message = pair_books.add(c, out)
        if message is not NULL and frame.seen & ANSWER and not frame.seen & PONG:
            message.kind = MessageKind.SESSION

    cdef void read_data(self, json.Cursor *c, Frame *frame, levels.Target *target, DecodeBuffer *out) noexcept nogil:
        cdef Message *message
        if frame.topic >= QUIET:
            json.skip_value(c)
            return
        if frame.topic == BOOK and frame.type != SNAPSHOT_TYPE and frame.type != DELTA_TYPE:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE if frame.type == UNKNOWN_TYPE else json.BAD_FIELD)
            return
        if frame.symbol == pair_books.FOREIGN:
            json.skip_value(c)
            return
        target.price_decimals = frame.listing.price_decimals
        target.quantity_decimals = frame.listing.quantity_decimals
        if frame.topic == BOOK:
            message = pair_books.add(c, out)
            if message is not NULL and json.enter_object(c):
                message.listing = frame.symbol
                self.read_book(c, frame, message, target)
            return
        if not json.enter_array(c):
            return
        while json.next_element(c):
            message = pair_books.add(c, out)
            if message is NULL or not json.enter_object(c):
                return
            message.listing = frame.symbol
            self.read_trade(c, frame, message)

    cdef void read_book(self, json.Cursor *c, const Frame *frame, Message *message,
                        levels.Target *target) noexcept nogil:
        cdef json.Text key
        cdef uint32_t seen = 0
        while json.next_key(c, &key):
            if json.equal(&key, "b"):
                if pair_books.once(c, &seen, BIDS):
                    pair_books.read_side(c, target, levels.read_pairs, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "a"):
                if pair_books.once(c, &seen, ASKS):
                    pair_books.read_side(c, target, levels.read_pairs, &message.asks_begin, &message.asks_count)
            elif json.equal(&key, "u"):
                if pair_books.once(c, &seen, UPDATE_ID):
                    json.read_int64(c, &message.last_id)
            else:
                json.skip_value(c)
        if BOOK_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        message.has_chain = 1
        message.first_id = message.last_id
        message.previous_id = message.last_id - 1
        if frame.type == SNAPSHOT_TYPE or message.last_id == 1:
            message.kind = MessageKind.SNAPSHOT
        else:
            message.kind = MessageKind.UPDATE

    cdef void read_trade(self, json.Cursor *c, const Frame *frame, Message *message) noexcept nogil:
        cdef json.Text key
        cdef uint32_t seen = 0
        while json.next_key(c, &key):
            if json.equal(&key, "T"):
                if pair_books.once(c, &seen, TRADE_TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "S"):
                if pair_books.once(c, &seen, SIDE):
                    pair_books.read_taker(c, "Buy", "Sell", &message.side)
            elif json.equal(&key, "v"):
                if pair_books.once(c, &seen, QUANTITY):
                    pair_books.read_positive(c, frame.listing.quantity_decimals, &message.quantity)
            elif json.equal(&key, "p"):
                if pair_books.once(c, &seen, PRICE):
                    pair_books.read_positive(c, frame.listing.price_decimals, &message.price)
            elif json.equal(&key, "i"):
                if pair_books.once(c, &seen, TRADE_ID):
                    read_trade_id(c, &message.last_id)
            else:
                json.skip_value(c)
        if TRADE_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        message.kind = MessageKind.TRADE

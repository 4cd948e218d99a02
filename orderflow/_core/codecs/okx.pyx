"""OKX v5 market data: frames -> messages.

Source: OKX's "API v5", WebSocket: order book channel, trades channel.

A frame is {"arg": {"channel", "instId"}, "action", "data": [entry, ...]}: all entries are of one listing, and `arg`
comes first. `data` that comes before what it depends on is checked, remembered and read when the frame has ended.

Books prove themselves in two ways. Until June 2026 every frame carried a CRC32 of the 25 best levels a side, as a
signed integer; today it is 0, which says nothing, and `seqId` and `prevSeqId` chain the frames instead. A reset of the
numbers after maintenance goes down, but its `prevSeqId` is still that of the frame before. A frame without levels whose
`prevSeqId` is its `seqId` says that nothing changed.
"""
from libc.stdint cimport INT32_MAX, INT32_MIN, int32_t, int64_t, uint32_t
from libc.string cimport memcmp, memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport ChecksumRule, Listing, Message, MessageKind

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    UNKNOWN_CHANNEL = 4

cdef enum Action:
    NO_ACTION = 0
    SNAPSHOT_ACTION = 1
    UPDATE_ACTION = 2
    UNKNOWN_ACTION = 3

cdef enum FrameKey:             # bits
    ARG = 1
    ACTION = 2
    DATA = 4
    EVENT = 8
    CHANNEL = 16                # of arg
    INSTRUMENT = 32

cdef enum BookKey:              # bits
    ASKS = 1
    BIDS = 2
    BOOK_TIME = 4
    CHECKSUM = 8
    SEQUENCE = 16
    PREVIOUS = 32
    BOOK_NEEDS = ASKS | BIDS

cdef enum TradeKey:             # bits
    TRADE_ID = 1
    PRICE = 2
    QUANTITY = 4
    SIDE = 8
    TRADE_TIME = 16
    TRADE_NEEDS = TRADE_ID | PRICE | QUANTITY | SIDE | TRADE_TIME


cdef struct Frame:
    const char *late            # `data` that came too early
    const Listing *listing
    uint32_t seen
    int32_t symbol
    int channel
    int action


cdef nogil:
    inline bint begins_with(const json.Text *text, const char *word, uint32_t length) noexcept:
        return text.length >= length and memcmp(text.data, word, length) == 0

    inline int channel_of(const json.Text *name) noexcept:
        if json.equal(name, "books") or json.equal(name, "books-l2-tbt") or json.equal(name, "books50-l2-tbt"):
            return BOOK
        if json.equal(name, "trades"):
            return TRADES
        if (json.equal(name, "tickers") or json.equal(name, "bbo-tbt") or json.equal(name, "books5")
                or json.equal(name, "books-rpi") or json.equal(name, "trades-all") or json.equal(name, "instruments")
                or json.equal(name, "open-interest") or json.equal(name, "funding-rate")
                or json.equal(name, "price-limit") or json.equal(name, "index-tickers") or json.equal(name, "status")
                or json.equal(name, "liquidation-orders") or json.equal(name, "opt-summary")
                or json.equal(name, "estimated-price") or begins_with(name, "mark-price", 10)
                or begins_with(name, "candle", 6) or begins_with(name, "index-candle", 12)):
            return QUIET
        return UNKNOWN_CHANNEL

    inline int action_of(const json.Text *name) noexcept:
        if json.equal(name, "update"):
            return UPDATE_ACTION
        if json.equal(name, "snapshot"):
            return SNAPSHOT_ACTION
        return UNKNOWN_ACTION

    inline bint read_checksum(json.Cursor *c, Message *message) noexcept:
        cdef int64_t value = 0
        if not json.read_int64(c, &value):
            return False
        if not INT32_MIN <= value <= INT32_MAX:
            return json.fail(c, json.BAD_FIELD)
        message.checksum = <uint32_t>value
        message.checksum_rule = ChecksumRule.OKX_CHECKSUM if value else ChecksumRule.NO_CHECKSUM
        return True


cdef inline bint follows(const char *at, const char *literal, size_t length) noexcept nogil:
    return memcmp(at, literal, length) == 0


cdef const char *read_fours(const char *begin, const char *at, const char *end, unsigned price_decimals,
                            unsigned quantity_decimals, int64_t *out, uint32_t capacity,
                            uint32_t *count) noexcept nogil:
    """A levels.Reader of ["30261","97","0","1"]: price, quantity, a field that is always 0, and the number of orders.

    OKX writes no zeros at the end of a fraction, so neighbours have different numbers of decimals: word by word.
    """
    cdef const char *p
    while count[0] < capacity and end - at > 16:
        if not follows(at + 1, '["', 2):
            break
        p = levels.number(at + 3, price_decimals, out)
        if p is NULL or p >= end or not follows(p, '","', 3):
            break
        p = levels.number(p + 3, quantity_decimals, out + 1)
        if p is NULL or p + 9 > end or not follows(p, '","0","', 7):
            break
        p += 7
        while p < end and fixed.is_digit(p[0]):
            p += 1
        if p + 2 > end or not follows(p, '"]', 2):
            break
        at = p + 2
        out += 2
        count[0] += 1
        if at >= end or at[0] != b",":
            break
    return at


cdef class OkxMarketData(Codec):
    """Decoder of one OKX v5 public connection.

    Messages
    --------
    SNAPSHOT and UPDATE of the channels books, books-l2-tbt and books50-l2-tbt, chained where they are numbered and with
    checksum_rule where the checksum is not 0; ALIVE, with its numbers, for a frame that says that nothing changed.
    TRADE of channel trades: last_id = tradeId, side = the taker's. Answers, errors and notices (`event`) are SESSION.
    Foreign symbols, other channels and the text pong are IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef Frame frame
        pair_books.begin(&c, &target, data, size, out)
        memset(&frame, 0, sizeof(Frame))
        frame.symbol = pair_books.UNNAMED
        if size == 4 and memcmp(data, b"pong", 4) == 0:
            pair_books.add(&c, out)
        elif json.enter_object(&c):
            self.read_frame(&c, &frame, &target, out)
        return pair_books.end(&c, &target, out, frame.symbol)

    cdef void read_frame(self, json.Cursor *c, Frame *frame, levels.Target *target, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        while json.next_key(c, &key):
            if json.equal(&key, "arg"):
                if pair_books.once(c, &frame.seen, ARG):
                    self.read_arg(c, frame)
            elif json.equal(&key, "action"):
                if pair_books.once(c, &frame.seen, ACTION) and json.read_text(c, &text):
                    frame.action = action_of(&text)
            elif json.equal(&key, "data"):
                if not pair_books.once(c, &frame.seen, DATA):
                    return
                if frame.channel == NO_CHANNEL or (frame.channel == BOOK and frame.action == NO_ACTION):
                    json.peek(c)
                    frame.late = c.at
                    json.skip_value(c)
                else:
                    self.read_data(c, frame, target, out)
            elif json.equal(&key, "event"):
                if pair_books.once(c, &frame.seen, EVENT):
                    json.skip_value(c)
            else:
                json.skip_value(c)
        if not json.finish(c):
            return
        if frame.late is not NULL and frame.channel != NO_CHANNEL and not frame.seen & EVENT:
            c.at = frame.late
            self.read_data(c, frame, target, out)
        if out.message_count == 0:
            self.conclude(c, frame, out)

    cdef void read_arg(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key, text
        if not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "channel"):
                if pair_books.once(c, &frame.seen, CHANNEL) and json.read_text(c, &text):
                    frame.channel = channel_of(&text)
            elif json.equal(&key, "instId"):
                if (pair_books.once(c, &frame.seen, INSTRUMENT) and json.read_text(c, &text)
                        and pair_books.find(c, &self.symbols, text.data, text.length, &frame.symbol)
                        and frame.symbol != pair_books.FOREIGN):
                    frame.listing = &self.listings[frame.symbol]
            else:
                json.skip_value(c)

    cdef void conclude(self, json.Cursor *c, const Frame *frame, DecodeBuffer *out) noexcept nogil:
        """A frame without entries of ours: what is it?"""
        cdef Message *message
        if c.status != json.GOOD:
            return
        if not frame.seen & EVENT:
            if frame.channel == UNKNOWN_CHANNEL or not frame.seen & ARG:
                json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
                return
            if frame.channel == NO_CHANNEL or (frame.channel != QUIET and not frame.seen & DATA):
                json.fail(c, json.BAD_FIELD)
                return
        message = pair_books.add(c, out)
        if message is not NULL and frame.seen & EVENT:
            message.kind = MessageKind.SESSION

    cdef void read_data(self, json.Cursor *c, Frame *frame, levels.Target *target, DecodeBuffer *out) noexcept nogil:
        cdef Message *message
        if frame.channel >= QUIET:
            json.skip_value(c)
            return
        if frame.symbol == pair_books.UNNAMED:
            json.fail(c, json.BAD_FIELD)
            return
        if frame.channel == BOOK and frame.action != SNAPSHOT_ACTION and frame.action != UPDATE_ACTION:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE if frame.action == UNKNOWN_ACTION else json.BAD_FIELD)
            return
        if frame.symbol == pair_books.FOREIGN:
            json.skip_value(c)
            return
        target.price_decimals = frame.listing.price_decimals
        target.quantity_decimals = frame.listing.quantity_decimals
        if not json.enter_array(c):
            return
        while json.next_element(c):
            message = pair_books.add(c, out)
            if message is NULL or not json.enter_object(c):
                return
            message.listing = frame.symbol
            if frame.channel == BOOK:
                self.read_book(c, frame, message, target)
            else:
                self.read_trade(c, frame, message)

    cdef void read_book(self, json.Cursor *c, const Frame *frame, Message *message,
                        levels.Target *target) noexcept nogil:
        cdef json.Text key
        cdef uint32_t seen = 0
        while json.next_key(c, &key):
            if json.equal(&key, "asks"):
                if pair_books.once(c, &seen, ASKS):
                    pair_books.read_side(c, target, read_fours, &message.asks_begin, &message.asks_count)
            elif json.equal(&key, "bids"):
                if pair_books.once(c, &seen, BIDS):
                    pair_books.read_side(c, target, read_fours, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "ts"):
                if pair_books.once(c, &seen, BOOK_TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "checksum"):
                if pair_books.once(c, &seen, CHECKSUM):
                    read_checksum(c, message)
            elif json.equal(&key, "seqId"):
                if pair_books.once(c, &seen, SEQUENCE):
                    json.read_int64(c, &message.last_id)
            elif json.equal(&key, "prevSeqId"):
                if pair_books.once(c, &seen, PREVIOUS):
                    json.read_int64(c, &message.previous_id)
            else:
                json.skip_value(c)
        if BOOK_NEEDS & ~seen or (seen & SEQUENCE == 0) != (seen & PREVIOUS == 0):
            json.fail(c, json.BAD_FIELD)
            return
        if seen & SEQUENCE:
            message.has_chain = 1
            message.first_id = message.last_id
        if frame.action == SNAPSHOT_ACTION:
            message.kind = MessageKind.SNAPSHOT
        elif (message.has_chain and message.previous_id == message.last_id and message.bids_count == 0
                and message.asks_count == 0):
            message.kind = MessageKind.ALIVE
        else:
            message.kind = MessageKind.UPDATE

    cdef void read_trade(self, json.Cursor *c, const Frame *frame, Message *message) noexcept nogil:
        cdef json.Text key
        cdef uint32_t seen = 0
        while json.next_key(c, &key):
            if json.equal(&key, "tradeId"):
                if pair_books.once(c, &seen, TRADE_ID):
                    pair_books.read_integer(c, &message.last_id)
            elif json.equal(&key, "px"):
                if pair_books.once(c, &seen, PRICE):
                    pair_books.read_positive(c, frame.listing.price_decimals, &message.price)
            elif json.equal(&key, "sz"):
                if pair_books.once(c, &seen, QUANTITY):
                    pair_books.read_positive(c, frame.listing.quantity_decimals, &message.quantity)
            elif json.equal(&key, "side"):
                if pair_books.once(c, &seen, SIDE):
                    pair_books.read_taker(c, "buy", "sell", &message.side)
            elif json.equal(&key, "ts"):
                if pair_books.once(c, &seen, TRADE_TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            else:
                json.skip_value(c)
        if TRADE_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        message.kind = MessageKind.TRADE

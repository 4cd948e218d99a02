"""Hyperliquid market data: frames -> messages.

Source: Hyperliquid's "API", Websocket, Subscriptions: l2Book and trades.

A frame is {"channel", "data"}. Of l2Book `data` is {"coin", "time", "levels": [bids, asks]}, the whole book every time;
of trades it is an array. Keys come in any order: what comes before the key that it depends on is checked, remembered
and read when its object has ended. Levels spelt as usual are compared and read in whole words.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcmp

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport Level, Message, MessageKind

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    SESSION = 4
    UNKNOWN_CHANNEL = 5

cdef enum FrameKey:             # bits
    CHANNEL = 1
    DATA = 2

cdef enum Key:                  # bits
    COIN = 1
    TIME = 2
    LEVELS = 4
    PRICE = 8
    SIZE = 16
    SIDE = 32
    TRADE_ID = 64
    BOOK_NEEDS = COIN | TIME | LEVELS
    TRADE_NEEDS = COIN | TIME | PRICE | SIZE | SIDE | TRADE_ID


cdef nogil:
    inline int channel_of(const json.Text *name) noexcept:
        if json.equal(name, "l2Book"):
            return BOOK
        if json.equal(name, "trades"):
            return TRADES
        if json.equal(name, "subscriptionResponse") or json.equal(name, "error"):
            return SESSION
        if (json.equal(name, "pong") or json.equal(name, "bbo") or json.equal(name, "allMids")
                or json.equal(name, "candle") or json.equal(name, "activeAssetCtx")
                or json.equal(name, "activeSpotAssetCtx") or json.equal(name, "notification")):
            return QUIET
        return UNKNOWN_CHANNEL

    inline const char *usual_orders(const char *p) noexcept:
        """After the number of orders at p, which nobody reads; NULL if it has 8 digits or is no number."""
        cdef uint32_t count = fixed.digit_run(fixed.load_word(p))
        if count == 0 or count == 8 or (count > 1 and p[0] == b"0"):
            return NULL
        return p + count

    inline bint read_usual_level(json.Cursor *c, const levels.Target *target, Level *level) noexcept:
        """{"n":5,"px":"105055.0","sz":"3.03622"} as it is sent, or {"px":"105055.0","sz":"3.03622","n":5} as it is
        documented, without spaces; False, with nothing done, if it is another."""
        cdef const char *p = c.at
        cdef bint orders_first
        if c.end - p < 26 or p[0] != b"{":
            return False
        orders_first = p[1] == b'"' and p[2] == b"n"
        if orders_first:
            if memcmp(p, b'{"n":', 5) != 0:
                return False
            p = usual_orders(p + 5)
            if p is NULL or c.end - p < 7 or p[0] != b",":
                return False
        if memcmp(p + 1, b'"px":"', 6) != 0:
            return False
        p = levels.number(p + 7, target.price_decimals, &level.price)
        if p is NULL or c.end - p < 8 or memcmp(p, b'","sz":"', 8) != 0:
            return False
        p = levels.number(p + 8, target.quantity_decimals, &level.quantity)
        if p is NULL or c.end - p < 2 or p[0] != b'"':
            return False
        p += 1
        if not orders_first:
            if c.end - p < 6 or memcmp(p, b',"n":', 5) != 0:
                return False
            p = usual_orders(p + 5)
            if p is NULL or c.end - p < 1:
                return False
        if p[0] != b"}":
            return False
        c.at = p + 1
        return True

    inline bint read_level(json.Cursor *c, const levels.Target *target, Level *level) noexcept:
        """{"px", "sz", "n"}"""
        cdef json.Text key
        cdef uint32_t seen = 0
        if not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            if json.equal(&key, "px"):
                if pair_books.once(c, &seen, PRICE):
                    pair_books.read_positive(c, target.price_decimals, &level.price)
            elif json.equal(&key, "sz"):
                if pair_books.once(c, &seen, SIZE):
                    pair_books.read_positive(c, target.quantity_decimals, &level.quantity)
            else:
                json.skip_value(c)
        if seen != (PRICE | SIZE):
            return json.fail(c, json.BAD_FIELD)
        return c.status == json.GOOD

    inline bint read_side(json.Cursor *c, levels.Target *target, uint32_t *first, uint32_t *count) noexcept:
        cdef Level *level
        first[0] = target.count
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.enter_array(c):
            return False
        while json.next_element(c):
            if target.count == target.capacity:
                return json.fail(c, levels.TOO_MANY)
            level = &target.levels[target.count]
            if not read_usual_level(c, target, level) and not read_level(c, target, level):
                return False
            target.count += 1
        count[0] = target.count - first[0]
        return c.status == json.GOOD

    inline bint read_levels(json.Cursor *c, Message *message, levels.Target *target) noexcept:
        """[bids, asks]"""
        if not json.enter_array(c):
            return False
        if not read_side(c, target, &message.bids_begin, &message.bids_count):
            return False
        if not read_side(c, target, &message.asks_begin, &message.asks_count):
            return False
        if json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        return c.status == json.GOOD


cdef class HyperliquidMarketData(Codec):
    """Decoder of one Hyperliquid connection.

    Messages
    --------
    REFRESH of l2Book: last_id = its time in milliseconds, so that an older one is known. TRADE of trades: side = the
    taker's ("B" bought), last_id = tid. Answers and errors are SESSION; foreign coins, pongs and other channels
    IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef int32_t symbol = pair_books.UNNAMED
        pair_books.begin(&c, &target, data, size, out)
        if json.enter_object(&c):
            self.read_frame(&c, &target, out, &symbol)
        return pair_books.end(&c, &target, out, symbol)

    cdef void read_frame(self, json.Cursor *c, levels.Target *target, DecodeBuffer *out,
                         int32_t *symbol) noexcept nogil:
        cdef json.Text key, text
        cdef const char *late = NULL
        cdef int channel = NO_CHANNEL
        cdef uint32_t seen = 0
        while json.next_key(c, &key):
            if json.equal(&key, "channel"):
                if pair_books.once(c, &seen, CHANNEL) and json.read_text(c, &text):
                    channel = channel_of(&text)
            elif json.equal(&key, "data"):
                if not pair_books.once(c, &seen, DATA):
                    return
                if channel == NO_CHANNEL:
                    json.peek(c)
                    late = c.at
                    json.skip_value(c)
                else:
                    self.read_data(c, channel, target, out, symbol)
            else:
                json.skip_value(c)
        if not json.finish(c):
            return
        if late is not NULL and channel != NO_CHANNEL:
            c.at = late
            self.read_data(c, channel, target, out, symbol)
        if c.status == json.GOOD and out.message_count == 0:
            self.conclude(c, channel, seen, out)

    cdef void conclude(self, json.Cursor *c, int channel, uint32_t seen, DecodeBuffer *out) noexcept nogil:
        """A frame without entries of ours: what is it?"""
        cdef Message *message
        if channel == NO_CHANNEL or channel == UNKNOWN_CHANNEL:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if channel <= TRADES and not seen & DATA:
            json.fail(c, json.BAD_FIELD)
            return
        message = pair_books.add(c, out)
        if message is not NULL and channel == SESSION:
            message.kind = MessageKind.SESSION

    cdef void read_data(self, json.Cursor *c, int channel, levels.Target *target, DecodeBuffer *out,
                        int32_t *symbol) noexcept nogil:
        if channel == BOOK:
            self.read_book(c, target, out, symbol)
        elif channel == TRADES:
            if not json.enter_array(c):
                return
            while json.next_element(c):
                symbol[0] = pair_books.UNNAMED
                if not self.read_trade(c, target, out, symbol):
                    return
        else:
            json.skip_value(c)

    cdef bint read_coin(self, json.Cursor *c, levels.Target *target, Message *message, int32_t *symbol) noexcept nogil:
        cdef json.Text text
        if not json.read_text(c, &text) or not pair_books.find(c, &self.symbols, text.data, text.length, symbol):
            return False
        message.listing = symbol[0]
        if symbol[0] >= 0:
            target.price_decimals = self.listings[symbol[0]].price_decimals
            target.quantity_decimals = self.listings[symbol[0]].quantity_decimals
        return True

    cdef void read_book(self, json.Cursor *c, levels.Target *target, DecodeBuffer *out, int32_t *symbol) noexcept nogil:
        cdef json.Text key
        cdef const char *early = NULL
        cdef const char *end
        cdef uint32_t seen = 0
        cdef Message *message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "coin"):
                if pair_books.once(c, &seen, COIN):
                    self.read_coin(c, target, message, symbol)
            elif json.equal(&key, "time"):
                if pair_books.once(c, &seen, TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "levels") and pair_books.once(c, &seen, LEVELS):
                if symbol[0] >= 0:
                    read_levels(c, message, target)
                else:
                    json.peek(c)
                    early = c.at
                    json.skip_value(c)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return
        if BOOK_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        if symbol[0] < 0:
            return
        if early is not NULL:
            end = c.at
            c.at = early
            if not read_levels(c, message, target):
                return
            c.at = end
        message.kind = MessageKind.REFRESH
        message.has_chain = 1
        message.first_id = message.last_id = message.exchange_ns // pair_books.MILLISECOND_NS

    cdef bint read_trade(self, json.Cursor *c, levels.Target *target, DecodeBuffer *out,
                         int32_t *symbol) noexcept nogil:
        cdef json.Text key
        cdef json.Cursor price, size
        cdef uint32_t seen = 0
        cdef Message *message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            if json.equal(&key, "coin"):
                if pair_books.once(c, &seen, COIN):
                    self.read_coin(c, target, message, symbol)
            elif json.equal(&key, "side"):
                if pair_books.once(c, &seen, SIDE):
                    pair_books.read_taker(c, "B", "A", &message.side)
            elif json.equal(&key, "px"):
                if pair_books.once(c, &seen, PRICE):
                    self.note(c, &price)
            elif json.equal(&key, "sz"):
                if pair_books.once(c, &seen, SIZE):
                    self.note(c, &size)
            elif json.equal(&key, "time"):
                if pair_books.once(c, &seen, TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "tid"):
                if pair_books.once(c, &seen, TRADE_ID):
                    json.read_int64(c, &message.last_id)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return False
        if TRADE_NEEDS & ~seen:
            return json.fail(c, json.BAD_FIELD)
        if symbol[0] < 0:
            return True
        message.kind = MessageKind.TRADE
        return (self.take(c, &price, target.price_decimals, &message.price)
                and self.take(c, &size, target.quantity_decimals, &message.quantity))

    cdef void note(self, json.Cursor *c, json.Cursor *value) noexcept nogil:
        """Pass over a number whose scale the coin decides, which may still come."""
        cdef const char *begin
        json.peek(c)
        begin = c.at
        if json.skip_value(c):
            json.open(value, begin, c.at - begin)

    cdef bint take(self, json.Cursor *c, json.Cursor *value, uint32_t decimals, int64_t *out) noexcept nogil:
        """The number that was noted."""
        if pair_books.read_positive(value, <unsigned char>decimals, out):
            return True
        c.at = value.at
        return json.fail(c, value.status)

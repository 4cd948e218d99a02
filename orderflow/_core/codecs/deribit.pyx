"""Deribit market data: JSON-RPC notifications -> messages.

Source: docs.deribit.com, "Subscriptions": book.{instrument_name}.{interval}, trades.{instrument_name}.{interval}.

A notification is {"method": "subscription", "params": {"channel", "data"}}; everything with an `id` is an answer. The
channel names the instrument. Keys come in any order: `data` that comes before its channel is checked, remembered and
read when its object has ended.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memchr, memcmp

from orderflow._core cimport json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport Level, Message, MessageKind

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    UNKNOWN_CHANNEL = 4

cdef enum FrameKey:             # bits
    METHOD = 1
    PARAMS = 2
    ANSWER = 4

cdef enum ParameterKey:         # bits
    CHANNEL = 1
    DATA = 2

cdef enum BookKey:              # bits
    TYPE = 1
    CHANGE = 2
    PREVIOUS = 4
    BOOK_TIME = 8
    BIDS = 16
    ASKS = 32
    SNAPSHOT_NEEDS = TYPE | CHANGE | BIDS | ASKS
    CHANGE_NEEDS = SNAPSHOT_NEEDS | PREVIOUS

cdef enum TradeKey:             # bits
    SEQUENCE = 1
    DIRECTION = 2
    TRADE_TIME = 4
    PRICE = 8
    AMOUNT = 16
    TRADE_NEEDS = SEQUENCE | DIRECTION | TRADE_TIME | PRICE | AMOUNT


cdef struct Frame:
    uint32_t seen
    int32_t symbol
    int channel
    bint subscription           # the method says so
    bint service                # a heartbeat


cdef nogil:
    inline int channel_of(const json.Text *name, const char **symbol, uint32_t *length) noexcept:
        """The channel, and the instrument of one of ours. A book that is grouped has more parts."""
        cdef uint32_t prefix
        cdef int channel
        cdef const char *end
        if name.length > 5 and memcmp(name.data, b"book.", 5) == 0:
            prefix, channel = 5, BOOK
        elif name.length > 7 and memcmp(name.data, b"trades.", 7) == 0:
            prefix, channel = 7, TRADES
        else:
            return QUIET if name.length else UNKNOWN_CHANNEL
        symbol[0] = name.data + prefix
        end = <const char *>memchr(symbol[0], c'.', name.length - prefix)
        if end is NULL:
            return UNKNOWN_CHANNEL
        length[0] = <uint32_t>(end - symbol[0])
        end += 1
        if memchr(end, c'.', name.data + name.length - end) is not NULL:
            return QUIET
        return channel

    inline bint read_row(json.Cursor *c, const levels.Target *target, Level *level) noexcept:
        """["new" | "change" | "delete", price, amount]"""
        cdef json.Text action
        if not json.enter_array(c):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_text(c, &action):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not pair_books.read_positive(c, target.price_decimals, &level.price):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not pair_books.read_positive(c, target.quantity_decimals, &level.quantity):
            return False
        if json.equal(&action, "delete"):
            level.quantity = 0
        elif not json.equal(&action, "new") and not json.equal(&action, "change"):
            return json.fail(c, json.BAD_FIELD)
        while json.next_element(c):
            json.skip_value(c)
        return c.status == json.GOOD

    inline bint read_side(json.Cursor *c, levels.Target *target, uint32_t *first, uint32_t *count) noexcept:
        first[0] = target.count
        if not json.enter_array(c):
            return False
        while json.next_element(c):
            if target.count == target.capacity:
                return json.fail(c, levels.TOO_MANY)
            if not read_row(c, target, &target.levels[target.count]):
                return False
            target.count += 1
        count[0] = target.count - first[0]
        return c.status == json.GOOD


cdef class DeribitMarketData(Codec):
    """Decoder of one Deribit connection.

    Messages
    --------
    SNAPSHOT and UPDATE of book.*: last_id = change_id, previous_id = prev_change_id. TRADE of trades.*: side = the
    taker's, last_id = trade_seq. Answers and heartbeats are SESSION; foreign instruments, grouped books and other
    channels IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef levels.Target target
        cdef Frame frame
        pair_books.begin(&c, &target, data, size, out)
        frame.seen = 0
        frame.symbol = pair_books.UNNAMED
        frame.channel = NO_CHANNEL
        frame.subscription = frame.service = False
        if json.enter_object(&c):
            self.read_frame(&c, &frame, &target, out)
        return pair_books.end(&c, &target, out, frame.symbol)

    cdef void read_frame(self, json.Cursor *c, Frame *frame, levels.Target *target, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        while json.next_key(c, &key):
            if json.equal(&key, "method"):
                if pair_books.once(c, &frame.seen, METHOD) and json.read_text(c, &text):
                    frame.subscription = json.equal(&text, "subscription")
                    frame.service = json.equal(&text, "heartbeat")
            elif json.equal(&key, "params"):
                if pair_books.once(c, &frame.seen, PARAMS):
                    self.read_parameters(c, frame, target, out)
            else:
                if json.equal(&key, "id"):
                    frame.seen |= ANSWER
                json.skip_value(c)
        if json.finish(c):
            self.conclude(c, frame, out)

    cdef void conclude(self, json.Cursor *c, const Frame *frame, DecodeBuffer *out) noexcept nogil:
        """What is it, if no market data of ours? And was it said to be a notification?"""
        cdef Message *message
        if frame.subscription:
            if frame.channel == NO_CHANNEL:
                json.fail(c, json.BAD_FIELD)
                return
            if frame.channel == UNKNOWN_CHANNEL:
                json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
                return
        elif out.message_count or not (frame.service or frame.seen & ANSWER):
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if out.message_count == 0:
            message = pair_books.add(c, out)
            if message is not NULL and not frame.subscription:
                message.kind = MessageKind.SESSION

    cdef void read_parameters(self, json.Cursor *c, Frame *frame, levels.Target *target,
                              DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        cdef const char *early = NULL
        cdef const char *end
        cdef uint32_t seen = 0
        if not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "channel"):
                if pair_books.once(c, &seen, CHANNEL) and json.read_text(c, &text):
                    self.read_channel(c, frame, &text, target)
            elif json.equal(&key, "data") and pair_books.once(c, &seen, DATA):
                if frame.channel == NO_CHANNEL:
                    json.peek(c)
                    early = c.at
                    json.skip_value(c)
                else:
                    self.read_data(c, frame, target, out)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return
        if (frame.channel == BOOK or frame.channel == TRADES) and not seen & DATA:
            json.fail(c, json.BAD_FIELD)
        elif early is not NULL and frame.channel != NO_CHANNEL:
            end = c.at
            c.at = early
            self.read_data(c, frame, target, out)
            if c.status == json.GOOD:
                c.at = end

    cdef void read_channel(self, json.Cursor *c, Frame *frame, const json.Text *name,
                           levels.Target *target) noexcept nogil:
        cdef const char *symbol = NULL
        cdef uint32_t length = 0
        frame.channel = channel_of(name, &symbol, &length)
        if frame.channel != BOOK and frame.channel != TRADES:
            return
        if pair_books.find(c, &self.symbols, symbol, length, &frame.symbol) and frame.symbol >= 0:
            target.price_decimals = self.listings[frame.symbol].price_decimals
            target.quantity_decimals = self.listings[frame.symbol].quantity_decimals

    cdef void read_data(self, json.Cursor *c, const Frame *frame, levels.Target *target,
                        DecodeBuffer *out) noexcept nogil:
        if frame.symbol < 0:
            json.skip_value(c)
        elif frame.channel == BOOK:
            self.read_book(c, frame.symbol, target, out)
        elif json.enter_array(c):
            while json.next_element(c):
                if not self.read_trade(c, frame.symbol, target, out):
                    return

    cdef void read_book(self, json.Cursor *c, int32_t symbol, levels.Target *target,
                        DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        cdef uint32_t seen = 0
        cdef Message *message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return
        message.listing = symbol
        while json.next_key(c, &key):
            if json.equal(&key, "type"):
                if pair_books.once(c, &seen, TYPE) and json.read_text(c, &text):
                    message.kind = (MessageKind.UPDATE if json.equal(&text, "change") else
                                    MessageKind.SNAPSHOT if json.equal(&text, "snapshot") else MessageKind.IGNORED)
            elif json.equal(&key, "change_id"):
                if pair_books.once(c, &seen, CHANGE):
                    json.read_int64(c, &message.last_id)
            elif json.equal(&key, "prev_change_id"):
                if pair_books.once(c, &seen, PREVIOUS):
                    json.read_int64(c, &message.previous_id)
            elif json.equal(&key, "timestamp"):
                if pair_books.once(c, &seen, BOOK_TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "bids"):
                if pair_books.once(c, &seen, BIDS):
                    read_side(c, target, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "asks"):
                if pair_books.once(c, &seen, ASKS):
                    read_side(c, target, &message.asks_begin, &message.asks_count)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return
        if message.kind == MessageKind.IGNORED and seen & TYPE:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
        elif (CHANGE_NEEDS if message.kind == MessageKind.UPDATE else SNAPSHOT_NEEDS) & ~seen:
            json.fail(c, json.BAD_FIELD)
        message.first_id = message.last_id
        message.has_chain = 1

    cdef bint read_trade(self, json.Cursor *c, int32_t symbol, levels.Target *target,
                         DecodeBuffer *out) noexcept nogil:
        cdef json.Text key
        cdef uint32_t seen = 0
        cdef Message *message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return False
        message.listing = symbol
        while json.next_key(c, &key):
            if json.equal(&key, "trade_seq"):
                if pair_books.once(c, &seen, SEQUENCE):
                    json.read_int64(c, &message.last_id)
            elif json.equal(&key, "direction"):
                if pair_books.once(c, &seen, DIRECTION):
                    pair_books.read_taker(c, "buy", "sell", &message.side)
            elif json.equal(&key, "timestamp"):
                if pair_books.once(c, &seen, TRADE_TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "price"):
                if pair_books.once(c, &seen, PRICE):
                    pair_books.read_positive(c, target.price_decimals, &message.price)
            elif json.equal(&key, "amount"):
                if pair_books.once(c, &seen, AMOUNT):
                    pair_books.read_positive(c, target.quantity_decimals, &message.quantity)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return False
        if TRADE_NEEDS & ~seen:
            return json.fail(c, json.BAD_FIELD)
        message.kind = MessageKind.TRADE
        return True

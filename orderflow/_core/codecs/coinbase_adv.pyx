"""Coinbase Advanced Trade market data: frames -> messages.

Source: docs.cdp.coinbase.com, "Advanced Trade WebSocket Channels": level2 (its frames say l2_data), market_trades,
heartbeats. A frame is {"channel", "client_id", "timestamp", "sequence_num", "events": [event, ...]}; an event is a book
of one product, or trades.

`sequence_num` counts all frames of a connection from 0, whatever they are about: where it does not go on by one, some
frame was lost, and no book of the connection is known to be whole. So the count is kept over every frame, those of no
interest and those of foreign products too.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memmove, memset

from orderflow._core cimport fixed, json, levels, rfc3339
from orderflow._core.codec cimport SYMBOL_SIZE, Codec, DecodeBuffer, DecodeStatus, find_symbol
from orderflow._core.codecs cimport coinbase_levels, fields
from orderflow._core.codecs.coinbase_levels cimport see
from orderflow._core.types cimport Listing, Message, MessageKind, Side

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    SESSION = 4                 # for the session: subscriptions, error
    UNKNOWN_CHANNEL = 5

cdef enum FrameKey:             # bits: keys of the frame that were seen
    CHANNEL = 1
    TIMESTAMP = 2
    SEQUENCE = 4
    EVENTS = 8
    TYPE = 16                   # of a frame without a channel: an error

cdef enum EventType:
    NO_TYPE = 0
    SNAPSHOT_TYPE = 1
    UPDATE_TYPE = 2
    UNKNOWN_TYPE = 3

cdef enum:                      # bits: keys of an event that were seen
    EVENT_TYPE = 1
    PRODUCT = 2
    LIST = 4                    # updates or trades

cdef enum Field:                # keys of a trade, as noted
    TRADE_PRODUCT = 0
    TRADE_ID = 1
    TRADE_PRICE = 2
    TRADE_SIZE = 3
    TRADE_SIDE = 4
    TRADE_TIME = 5
    NO_FIELD = 6
    TRADE_NEEDS = (1 << 6) - 1

cdef enum:
    FOREIGN = -1                # a product that this connection does not carry
    UNNAMED = -2                # none seen yet


cdef struct Frame:              # what is known of a frame so far
    DecodeBuffer *out
    levels.Target target
    int64_t exchange_ns
    int64_t sequence
    uint32_t seen               # bits of FrameKey
    int32_t listing             # of the event being read, -1 = none
    int channel


cdef nogil:
    inline int channel_of(const json.Text *name) noexcept:
        if json.equal(name, "l2_data"):
            return BOOK
        if json.equal(name, "market_trades"):
            return TRADES
        if json.equal(name, "subscriptions"):
            return SESSION
        if (json.equal(name, "heartbeats") or json.equal(name, "ticker") or json.equal(name, "ticker_batch")
                or json.equal(name, "candles") or json.equal(name, "status") or json.equal(name, "user")
                or json.equal(name, "futures_balance_summary")):
            return QUIET
        return UNKNOWN_CHANNEL

    inline int trade_field_of(const json.Text *key) noexcept:
        if json.equal(key, "product_id"):
            return TRADE_PRODUCT
        if json.equal(key, "trade_id"):
            return TRADE_ID
        if json.equal(key, "price"):
            return TRADE_PRICE
        if json.equal(key, "size"):
            return TRADE_SIZE
        if json.equal(key, "side"):
            return TRADE_SIDE
        return TRADE_TIME if json.equal(key, "time") else NO_FIELD

    inline bint read_type(json.Cursor *c, int *out) noexcept:
        cdef json.Text text
        if not json.read_text(c, &text):
            return False
        out[0] = (UPDATE_TYPE if json.equal(&text, "update") else SNAPSHOT_TYPE if json.equal(&text, "snapshot")
                  else UNKNOWN_TYPE)
        return True

    inline bint read_time(json.Cursor *c, int64_t *out) noexcept:
        cdef json.Text text
        if not json.read_text(c, &text):
            return False
        return rfc3339.parse(&text, out) or json.fail(c, json.BAD_FIELD)

    inline Message *add(json.Cursor *c, DecodeBuffer *out) noexcept:
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

    inline void put_oldest_first(DecodeBuffer *out, uint32_t begin) noexcept:
        """Trades of one event: they are sent newest first."""
        cdef uint32_t end = out.message_count
        cdef Message swapped
        if end - begin < 2 or out.messages[begin].last_id < out.messages[end - 1].last_id:
            return
        while begin + 1 < end:
            end -= 1
            swapped = out.messages[begin]
            out.messages[begin] = out.messages[end]
            out.messages[end] = swapped
            begin += 1


cdef class CoinbaseAdvancedMarketData(Codec):
    """Decoder of one Coinbase Advanced Trade market data connection.

    Messages
    --------
    SNAPSHOT or UPDATE for each event of l2_data, TRADE for each trade of market_trades, oldest first: last_id =
    trade_id, side = the taker's. Before them MISSED, where sequence_num did not go on by one; 0 begins a connection.
    Trades of type snapshot are history: IGNORED, as are foreign products, heartbeats, tickers, candles and status.
    Subscriptions and errors are SESSION.
    """

    cdef int64_t sequence           # of the last frame

    def configure(self):
        self.sequence = -1

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        json.open(&c, data, size)
        out.message_count = 0
        out.level_count = 0
        out.report_count = 0
        frame.out = out
        frame.target.levels = out.levels
        frame.target.count = 0
        frame.target.capacity = out.level_capacity
        frame.exchange_ns = 0
        frame.sequence = -1
        frame.seen = 0
        frame.listing = -1
        frame.channel = NO_CHANNEL
        if json.enter_object(&c):
            self.read_frame(&c, &frame)
        if c.status == json.GOOD:
            self.count(&c, &frame)
        if c.status == json.GOOD:
            out.level_count = frame.target.count
            out.fault_listing = -1
            out.fault_offset = 0
            return DecodeStatus.DECODED
        if out.message_count > 1 and frame.channel == BOOK:
            frame.listing = -1          # books of earlier events miss this frame too: which, nobody needs to know
        if frame.listing >= 0 and frame.sequence == self.sequence + 1:
            self.sequence = frame.sequence          # else the next frame tells that this one is missing
        out.message_count = 0
        out.fault_listing = frame.listing
        out.fault_offset = json.offset(&c)
        return c.status

    cdef void count(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """Put the frame into the count of the connection; where something is missing, MISSED comes first."""
        cdef DecodeBuffer *out = frame.out
        cdef int64_t before = self.sequence
        if not frame.seen & SEQUENCE:
            return
        if frame.sequence == 0 or frame.sequence == before + 1 or before < 0:
            self.sequence = frame.sequence
            return
        if frame.sequence == before:        # the same frame again
            out.message_count = 0
            frame.target.count = 0
            add(c, out)
            return
        if add(c, out) is NULL:
            return
        memmove(out.messages + 1, out.messages, (out.message_count - 1) * sizeof(Message))
        memset(out.messages, 0, sizeof(Message))
        out.messages[0].listing = -1
        out.messages[0].kind = MessageKind.MISSED
        self.sequence = frame.sequence

    cdef void read_frame(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key
        cdef const char *late = NULL
        cdef const char *end
        while json.next_key(c, &key):
            if json.equal(&key, "channel"):
                if see(c, &frame.seen, CHANNEL) and json.read_text(c, &key):
                    frame.channel = channel_of(&key)
            elif json.equal(&key, "sequence_num"):
                if see(c, &frame.seen, SEQUENCE) and json.read_int64(c, &frame.sequence) and frame.sequence < 0:
                    json.fail(c, fixed.NUMBER_RANGE)
            elif json.equal(&key, "timestamp"):
                if see(c, &frame.seen, TIMESTAMP):
                    read_time(c, &frame.exchange_ns)
            elif json.equal(&key, "events"):
                if not see(c, &frame.seen, EVENTS):
                    return
                if frame.channel == NO_CHANNEL:
                    json.peek(c)
                    late = c.at
                    json.skip_value(c)
                else:
                    self.read_events(c, frame)
            elif json.equal(&key, "type"):
                if see(c, &frame.seen, TYPE) and json.read_text(c, &key) and not json.equal(&key, "error"):
                    frame.seen &= ~<uint32_t>TYPE
            else:
                json.skip_value(c)
        if not json.finish(c):
            return
        if late is not NULL and frame.channel != NO_CHANNEL:
            end = c.at
            c.at = late
            self.read_events(c, frame)
            if c.status == json.GOOD:
                c.at = end
        self.conclude(c, frame)

    cdef void conclude(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """Everything was read: is it whole, and what is it where no event is ours?"""
        cdef Message *message
        cdef uint32_t i
        if c.status != json.GOOD:
            return
        if frame.channel == NO_CHANNEL and frame.seen & TYPE:
            frame.channel = SESSION
        if frame.channel == UNKNOWN_CHANNEL or frame.channel == NO_CHANNEL:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if frame.channel < QUIET and frame.seen & (EVENTS | SEQUENCE) != (EVENTS | SEQUENCE):
            json.fail(c, json.BAD_FIELD)
            return
        for i in range(frame.out.message_count):
            if frame.out.messages[i].exchange_ns == 0:
                frame.out.messages[i].exchange_ns = frame.exchange_ns
        if frame.out.message_count == 0:
            message = add(c, frame.out)
            if message is not NULL and frame.channel == SESSION:
                message.kind = MessageKind.SESSION

    cdef void read_events(self, json.Cursor *c, Frame *frame) noexcept nogil:
        if frame.channel >= QUIET:
            json.skip_value(c)
            return
        if not json.enter_array(c):
            return
        while json.next_element(c):
            if not (self.read_book(c, frame) if frame.channel == BOOK else self.read_trades(c, frame)):
                return

    cdef bint read_book(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """{"type", "product_id", "updates"}: updates are read once the product is known."""
        cdef json.Text key
        cdef Message *message = add(c, frame.out)
        cdef const char *late = NULL
        cdef const char *end
        cdef uint32_t seen = 0
        cdef int32_t product = UNNAMED
        cdef int event_type = NO_TYPE
        frame.listing = -1
        if message is NULL or not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            if json.equal(&key, "type"):
                if see(c, &seen, EVENT_TYPE):
                    read_type(c, &event_type)
            elif json.equal(&key, "product_id"):
                if see(c, &seen, PRODUCT):
                    self.read_product(c, frame, &product)
            elif json.equal(&key, "updates"):
                if not see(c, &seen, LIST):
                    return False
                if product >= 0:
                    coinbase_levels.read_updates(c, &frame.target, message)
                    continue
                json.peek(c)
                late = c.at
                json.skip_value(c)
            else:
                json.skip_value(c)
        if c.status != json.GOOD or product == FOREIGN:
            return c.status == json.GOOD
        if seen != (EVENT_TYPE | PRODUCT | LIST):
            return json.fail(c, json.BAD_FIELD)
        if event_type == UNKNOWN_TYPE:
            return json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
        if late is not NULL:
            end = c.at
            c.at = late
            coinbase_levels.read_updates(c, &frame.target, message)
            if c.status != json.GOOD:
                return False
            c.at = end
            c.first = False
        message.listing = product
        message.kind = MessageKind.SNAPSHOT if event_type == SNAPSHOT_TYPE else MessageKind.UPDATE
        return True

    cdef bint read_product(self, json.Cursor *c, Frame *frame, int32_t *product) noexcept nogil:
        cdef json.Text text
        cdef const Listing *listing
        if not json.read_text(c, &text):
            return False
        if text.length > SYMBOL_SIZE:
            return json.fail(c, DecodeStatus.BAD_SYMBOL)
        product[0] = find_symbol(&self.symbols, text.data, text.length)
        if product[0] == FOREIGN:
            return True
        frame.listing = product[0]
        listing = &self.listings[product[0]]
        frame.target.price_decimals = listing.price_decimals
        frame.target.quantity_decimals = listing.quantity_decimals
        return True

    cdef bint read_trades(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """{"type", "trades"}: those of type snapshot are history."""
        cdef json.Text key
        cdef const char *late = NULL
        cdef const char *end
        cdef uint32_t seen = 0
        cdef uint32_t begin = frame.out.message_count
        cdef int event_type = NO_TYPE
        if not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            if json.equal(&key, "type"):
                if see(c, &seen, EVENT_TYPE):
                    read_type(c, &event_type)
            elif json.equal(&key, "trades"):
                if not see(c, &seen, LIST):
                    return False
                json.peek(c)
                late = c.at
                if event_type == UPDATE_TYPE:
                    self.read_trade_list(c, frame)
                else:
                    json.skip_value(c)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return False
        if seen != (EVENT_TYPE | LIST):
            return json.fail(c, json.BAD_FIELD)
        if event_type == UNKNOWN_TYPE:
            return json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
        if event_type == UPDATE_TYPE and frame.out.message_count == begin:
            end = c.at
            c.at = late
            if not self.read_trade_list(c, frame):
                return False
            c.at = end
            c.first = False
        put_oldest_first(frame.out, begin)
        return True

    cdef bint read_trade_list(self, json.Cursor *c, Frame *frame) noexcept nogil:
        if not json.enter_array(c):
            return False
        while json.next_element(c):
            if not self.read_trade(c, frame):
                return False
        return c.status == json.GOOD

    cdef bint read_trade(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """The product may come behind its numbers, so everything is noted first. A foreign one leaves no message."""
        cdef fields.Fields noted
        cdef json.Cursor value
        cdef json.Text text
        cdef Message *message
        cdef int32_t product = UNNAMED
        cdef int field
        cdef const Listing *listing
        noted.present = 0
        frame.listing = -1
        if not json.enter_object(c):
            return False
        while json.next_key(c, &text):
            field = trade_field_of(&text)
            if field == NO_FIELD:
                json.skip_value(c)
            else:
                fields.note(c, &noted, field)
        if c.status != json.GOOD:
            return False
        fields.enter(&noted, TRADE_PRODUCT, &value)
        self.read_product(&value, frame, &product)
        if not fields.settle(c, &value) or product == FOREIGN:
            return c.status == json.GOOD
        if noted.present != TRADE_NEEDS:
            return json.fail(c, json.BAD_FIELD)
        if not fields.read_text(c, &noted, TRADE_SIDE, &value, &text):
            return False
        if json.equal(&text, "UNKNOWN_ORDER_SIDE"):         # nobody's aggression, so it tells nothing
            return True
        message = add(c, frame.out)
        if message is NULL:
            return False
        message.listing = product
        message.kind = MessageKind.TRADE
        if json.equal(&text, "BUY"):                        # it is the maker's
            message.side = Side.SELL
        elif json.equal(&text, "SELL"):
            message.side = Side.BUY
        else:
            return json.fail(c, json.BAD_FIELD)
        listing = &self.listings[product]
        if (not fields.read_decimal(c, &noted, TRADE_PRICE, listing.price_decimals, &message.price)
                or not fields.read_decimal(c, &noted, TRADE_SIZE, listing.quantity_decimals, &message.quantity)
                or not fields.read_decimal(c, &noted, TRADE_ID, 0, &message.last_id)):
            return False
        if message.price < 0 or message.quantity < 0:
            return json.fail(c, fixed.NUMBER_RANGE)
        fields.enter(&noted, TRADE_TIME, &value)
        read_time(&value, &message.exchange_ns)
        return fields.settle(c, &value)

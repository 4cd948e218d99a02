"""KuCoin spot market data: frames and REST order books -> messages.

Sources: KuCoin's "WebSocket API" (Orderbook - Increment, Trade, Ticker) and "Spot market data" over REST (Get Full
OrderBook, Get Part OrderBook).

A frame is {"topic", "type", "subject", "data"}. Recorded, `data` came first; the documents show it last. Where it comes
first it is read as its keys say: only a book has `changes`, and it named its symbol before them; what else there is, is
noted, and read when the topic is known.

A change is [price, quantity, sequence]. A price of 0 changes nothing that can be seen, it only takes a sequence. All of
a frame is applied though a snapshot may lie inside its range: quantities are absolute, so the changes that the snapshot
knows already repeat what it says or are followed by a later word on their price. Which word is the later one, the
sequence says: the documents show changes in the order of prices.
"""
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport fields, pair_books
from orderflow._core.types cimport Level, Listing, Message, MessageKind

cdef enum:
    MILLISECOND_NS = 1_000_000

cdef enum Topic:
    NO_TOPIC = 0
    BOOK = 1
    TRADES = 2
    TICKER = 3
    QUIET = 4                   # known, and of no interest
    UNKNOWN_TOPIC = 5

cdef enum Type:
    NO_TYPE = 0
    NEWS = 1                    # "message"
    PONG = 2
    SERVICE = 3                 # a welcome, an answer, an error
    UNKNOWN_TYPE = 4

cdef enum FrameKey:             # bits
    TOPIC = 1
    TYPE = 2
    DATA = 4

cdef enum DataKey:              # bits
    SYMBOL = 1
    FIRST_ID = 2
    LAST_ID = 4
    CHANGES = 8
    BIDS = 16
    ASKS = 32
    BOOK_NEEDS = FIRST_ID | LAST_ID | CHANGES | BIDS | ASKS
    SNAPSHOT_NEEDS = LAST_ID | BIDS | ASKS

cdef enum Noted:                # indices of codecs.fields
    SEQUENCE = 0
    SIDE = 1
    PRICE = 2
    QUANTITY = 3
    TIME = 4
    BID = 5
    BID_QUANTITY = 6
    ASK = 7
    ASK_QUANTITY = 8
    NOT_NOTED = 9


cdef struct Frame:
    fields.Fields noted
    levels.Target target
    const Listing *listing
    Message *message            # the only one
    const char *changes         # that came before it was known whose they are
    uint32_t seen
    uint32_t data_seen
    int32_t symbol              # index of the listing, FOREIGN or UNNAMED
    int topic
    int type


cdef nogil:
    inline bint begins_with(const json.Text *text, const char *word, uint32_t length) noexcept:
        return text.length >= length and memcmp(text.data, word, length) == 0

    inline int topic_of(const json.Text *name, uint32_t *prefix) noexcept:
        """The topic, and where the symbol begins of those that are read."""
        if begins_with(name, "/market/level2:", 15):
            prefix[0] = 15
            return BOOK
        if begins_with(name, "/market/match:", 14):
            prefix[0] = 14
            return TRADES
        if begins_with(name, "/market/ticker:", 15):
            prefix[0] = 15
            return TICKER
        if (begins_with(name, "/market/candles:", 16) or begins_with(name, "/market/snapshot:", 17)
                or begins_with(name, "/spotMarket/", 12) or begins_with(name, "/indicator/", 11)
                or begins_with(name, "/margin/", 8) or begins_with(name, "/callauction/", 13)):
            return QUIET
        return UNKNOWN_TOPIC

    inline int type_of(const json.Text *name) noexcept:
        if json.equal(name, "message"):
            return NEWS
        if json.equal(name, "pong"):
            return PONG
        if json.equal(name, "welcome") or json.equal(name, "ack") or json.equal(name, "error"):
            return SERVICE
        return UNKNOWN_TYPE

    inline uint32_t noted_of(const json.Text *key) noexcept:
        if json.equal(key, "time"):
            return TIME
        if json.equal(key, "sequence"):
            return SEQUENCE
        if json.equal(key, "price"):
            return PRICE
        if json.equal(key, "size"):
            return QUANTITY
        if json.equal(key, "side"):
            return SIDE
        if json.equal(key, "bestBid"):
            return BID
        if json.equal(key, "bestBidSize"):
            return BID_QUANTITY
        if json.equal(key, "bestAsk"):
            return ASK
        if json.equal(key, "bestAskSize"):
            return ASK_QUANTITY
        return NOT_NOTED

    # Changes

    inline const char *usual_sequence(const char *p, int64_t *out) noexcept:
        """The digits at p, up to 16 of them; NULL if there are none, or more."""
        cdef uint64_t word = fixed.load_word(p)
        cdef uint32_t count = fixed.digit_run(word)
        cdef uint64_t value
        if count == 0:
            return NULL
        value = fixed.digits_value(word, count)
        p += count
        if count == 8:
            word = fixed.load_word(p)
            count = fixed.digit_run(word)
            if count:
                value = value * fixed.POWERS[count] + fixed.digits_value(word, count)
            p += count
            if count == 8 and fixed.is_digit(p[0]):
                return NULL
        out[0] = <int64_t>value
        return p

    inline bint read_usual_change(json.Cursor *c, const levels.Target *target, Level *level,
                                  int64_t *sequence) noexcept:
        """["242.654","5","1613277183881"] without spaces; False, with nothing done, if it is another."""
        cdef const char *p = c.at
        if c.end - p < 13 or memcmp(p, b'["', 2) != 0:
            return False
        p = levels.number(p + 2, target.price_decimals, &level.price)
        if p is NULL or c.end - p < 3 or memcmp(p, b'","', 3) != 0:
            return False
        p = levels.number(p + 3, target.quantity_decimals, &level.quantity)
        if p is NULL or c.end - p < 3 or memcmp(p, b'","', 3) != 0:
            return False
        p = usual_sequence(p + 3, sequence)
        if p is NULL or c.end - p < 2 or memcmp(p, b'"]', 2) != 0:
            return False
        c.at = p + 2
        return True

    inline bint read_change(json.Cursor *c, const levels.Target *target, Level *level, int64_t *sequence) noexcept:
        """[price, quantity, sequence, ...] however it is spelt."""
        if not json.enter_array(c):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.price_decimals, &level.price):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.quantity_decimals, &level.quantity):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not pair_books.read_integer(c, sequence):
            return False
        if level.price < 0 or level.quantity < 0:
            return json.fail(c, fixed.NUMBER_RANGE)
        while json.next_element(c):
            json.skip_value(c)
        return c.status == json.GOOD

    inline void read_side(json.Cursor *c, levels.Target *target, uint32_t *first, uint32_t *count) noexcept:
        """Changes of one side. Of two next to each other at one price the later word counts."""
        cdef Level *level
        cdef int64_t sequence = 0
        cdef int64_t sequence_before = 0
        cdef int64_t price_before = 0
        first[0] = target.count
        if not json.enter_array(c):
            return
        while json.next_element(c):
            if target.count == target.capacity:
                json.fail(c, DecodeStatus.TOO_MANY)
                return
            level = &target.levels[target.count]
            if not read_usual_change(c, target, level, &sequence) and not read_change(c, target, level, &sequence):
                return
            if level.price == 0:
                continue
            if level.price == price_before and sequence < sequence_before:
                continue
            price_before = level.price
            sequence_before = sequence
            target.count += 1
        count[0] = target.count - first[0]

    # What was noted

    inline bint read_time(json.Cursor *c, const Frame *frame, int64_t unit_ns) noexcept:
        """Unix time in such units, in quotes or bare."""
        cdef int64_t value = 0
        if not fields.read_decimal(c, &frame.noted, TIME, 0, &value):
            return False
        if not 0 <= value <= INT64_MAX // unit_ns:
            return json.fail(c, fixed.NUMBER_RANGE)
        frame.message.exchange_ns = value * unit_ns
        return True

    inline bint read_positive(json.Cursor *c, const Frame *frame, uint32_t index, int64_t *out) noexcept:
        """A price or a quantity, at the scale of the listing."""
        cdef bint is_price = index == PRICE or index == BID or index == ASK
        cdef uint8_t decimals = frame.target.price_decimals if is_price else frame.target.quantity_decimals
        if not fields.read_decimal(c, &frame.noted, index, decimals, out):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if out[0] < 0 else True

    inline bint read_best(json.Cursor *c, Frame *frame, uint32_t price, uint32_t quantity, uint32_t *first,
                          uint32_t *count) noexcept:
        """The best level of one side, if it has any: its price is null or 0 if not."""
        cdef Level *level
        first[0] = frame.target.count
        if fields.has(&frame.noted, price) and not fields.has_value(&frame.noted, price):
            return True
        if frame.target.count == frame.target.capacity:
            return json.fail(c, DecodeStatus.TOO_MANY)
        level = &frame.target.levels[frame.target.count]
        if not read_positive(c, frame, price, &level.price) or not read_positive(c, frame, quantity, &level.quantity):
            return False
        if level.price and level.quantity:
            frame.target.count += 1
            count[0] = 1
        return True


cdef class KucoinMarketData(Codec):
    """Decoder of one KuCoin market data connection and of REST order books.

    Messages
    --------
    UPDATE of /market/level2: first_id = sequenceStart, last_id = sequenceEnd; SNAPSHOT of a REST body, last_id =
    sequence; TRADE of /market/match: last_id = sequence, side = the taker's; QUOTE of /market/ticker: last_id =
    sequence, one bid and one ask level (none on an empty side). Welcome, answers and errors are SESSION; pongs, other
    topics and foreign symbols IGNORED.
    """

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        if self.begin(&c, &frame, data, size, out) and json.enter_object(&c):
            self.read_frame(&c, &frame)
            if json.finish(&c):
                self.conclude(&c, &frame)
        return pair_books.end(&c, &frame.target, out, frame.symbol)

    cdef int decode_snapshot(self, int32_t listing, const char *data, size_t size, int64_t receive_ns,
                             DecodeBuffer *out) noexcept nogil:
        """{"code": "200000", "data": {"sequence", "time", "bids", "asks"}}; a refusal has no data."""
        cdef json.Cursor c
        cdef Frame frame
        cdef json.Text key
        if not self.begin(&c, &frame, data, size, out):
            return pair_books.end(&c, &frame.target, out, -1)
        if not 0 <= listing < <int32_t>self.listing_count:
            json.fail(&c, DecodeStatus.BAD_SYMBOL)
        else:
            self.name(&frame, listing)
            json.enter_object(&c)
        while json.next_key(&c, &key):
            if json.equal(&key, "data"):
                if pair_books.once(&c, &frame.seen, DATA):
                    self.read_snapshot(&c, &frame)
            else:
                json.skip_value(&c)
        if json.finish(&c) and not frame.seen & DATA:
            json.fail(&c, json.BAD_FIELD)
        return pair_books.end(&c, &frame.target, out, frame.symbol)

    cdef bint begin(self, json.Cursor *c, Frame *frame, const char *data, size_t size,
                    DecodeBuffer *out) noexcept nogil:
        frame.noted.present = 0
        frame.changes = NULL
        frame.listing = NULL
        frame.seen = frame.data_seen = 0
        frame.symbol = pair_books.UNNAMED
        frame.topic = NO_TOPIC
        frame.type = NO_TYPE
        pair_books.begin(c, &frame.target, data, size, out)
        frame.message = pair_books.add(c, out)
        return frame.message is not NULL

    cdef void name(self, Frame *frame, int32_t symbol) noexcept nogil:
        """From here on it is known whose frame this is."""
        frame.symbol = symbol
        if symbol == pair_books.FOREIGN:
            return
        frame.listing = &self.listings[symbol]
        frame.target.price_decimals = frame.listing.price_decimals
        frame.target.quantity_decimals = frame.listing.quantity_decimals

    cdef bint find(self, json.Cursor *c, Frame *frame, const char *name, uint32_t length) noexcept nogil:
        """The symbol, which topic and data both may tell: of one listing, or the frame means nothing."""
        cdef int32_t symbol = pair_books.UNNAMED
        if not pair_books.find(c, &self.symbols, name, length, &symbol):
            return False
        if frame.symbol == pair_books.UNNAMED:
            self.name(frame, symbol)
        elif frame.symbol != symbol:
            return json.fail(c, json.BAD_FIELD)
        return True

    # Frames

    cdef void read_frame(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key, text
        cdef uint32_t prefix = 0
        while json.next_key(c, &key):
            if json.equal(&key, "data"):
                if not pair_books.once(c, &frame.seen, DATA):
                    return
                if frame.topic >= QUIET or json.peek(c) != b"{":        # an error tells a text
                    json.skip_value(c)
                elif json.enter_object(c):
                    self.read_data(c, frame)
            elif json.equal(&key, "topic"):
                if pair_books.once(c, &frame.seen, TOPIC) and json.read_text(c, &text):
                    frame.topic = topic_of(&text, &prefix)
                    if prefix:
                        self.find(c, frame, text.data + prefix, text.length - prefix)
            elif json.equal(&key, "type"):
                if pair_books.once(c, &frame.seen, TYPE) and json.read_text(c, &text):
                    frame.type = type_of(&text)
            else:
                json.skip_value(c)

    cdef void read_data(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key, text
        cdef uint32_t index
        while json.next_key(c, &key):
            if json.equal(&key, "symbol"):
                if pair_books.once(c, &frame.data_seen, SYMBOL) and json.read_text(c, &text):
                    self.find(c, frame, text.data, text.length)
            elif json.equal(&key, "sequenceStart"):
                if pair_books.once(c, &frame.data_seen, FIRST_ID):
                    json.read_int64(c, &frame.message.first_id)
            elif json.equal(&key, "sequenceEnd"):
                if pair_books.once(c, &frame.data_seen, LAST_ID):
                    json.read_int64(c, &frame.message.last_id)
            elif json.equal(&key, "changes"):
                if not pair_books.once(c, &frame.data_seen, CHANGES):
                    return
                if frame.symbol == pair_books.UNNAMED:
                    json.peek(c)
                    frame.changes = c.at
                    json.skip_value(c)
                else:
                    self.read_changes(c, frame)
            else:
                index = noted_of(&key)
                if index == NOT_NOTED:
                    json.skip_value(c)
                else:
                    fields.note(c, &frame.noted, index)

    cdef void read_changes(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key
        cdef Message *message = frame.message
        if frame.symbol == pair_books.FOREIGN:
            json.skip_value(c)
            return
        if not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "asks"):
                if pair_books.once(c, &frame.data_seen, ASKS):
                    read_side(c, &frame.target, &message.asks_begin, &message.asks_count)
            elif json.equal(&key, "bids"):
                if pair_books.once(c, &frame.data_seen, BIDS):
                    read_side(c, &frame.target, &message.bids_begin, &message.bids_count)
            else:
                json.skip_value(c)

    # What a whole frame was

    cdef void conclude(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef bint ours = frame.type == NEWS and frame.topic != QUIET and frame.symbol != pair_books.FOREIGN
        if frame.topic != BOOK or not ours:
            memset(frame.message, 0, sizeof(Message))
            frame.message.listing = -1
            frame.target.count = 0
        if frame.type == SERVICE:
            frame.message.kind = MessageKind.SESSION
        elif frame.type == NO_TYPE or frame.type == UNKNOWN_TYPE or (
                frame.type == NEWS and frame.topic == UNKNOWN_TOPIC):
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
        elif frame.type == NEWS and (frame.topic == NO_TOPIC or not frame.seen & DATA):
            json.fail(c, json.BAD_FIELD)
        elif ours:
            frame.message.listing = frame.symbol
            if frame.topic == BOOK:
                self.conclude_book(c, frame)
            elif frame.topic == TRADES:
                self.read_trade(c, frame)
            else:
                self.read_ticker(c, frame)

    cdef void conclude_book(self, json.Cursor *c, Frame *frame) noexcept nogil:
        if frame.changes is not NULL:
            c.at = frame.changes
            self.read_changes(c, frame)
        if BOOK_NEEDS & ~frame.data_seen:
            json.fail(c, json.BAD_FIELD)
            return
        if fields.has(&frame.noted, TIME):      # not told in 2021
            read_time(c, frame, MILLISECOND_NS)
        frame.message.kind = MessageKind.UPDATE
        frame.message.has_chain = 1

    cdef void read_trade(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Cursor side
        cdef Message *message = frame.message
        fields.enter(&frame.noted, SIDE, &side)
        pair_books.read_taker(&side, "buy", "sell", &message.side)
        if (fields.settle(c, &side) and read_positive(c, frame, PRICE, &message.price)
                and read_positive(c, frame, QUANTITY, &message.quantity) and read_time(c, frame, 1)):
            fields.read_decimal(c, &frame.noted, SEQUENCE, 0, &message.last_id)
        message.kind = MessageKind.TRADE

    cdef void read_ticker(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef Message *message = frame.message
        if (read_best(c, frame, BID, BID_QUANTITY, &message.bids_begin, &message.bids_count)
                and read_best(c, frame, ASK, ASK_QUANTITY, &message.asks_begin, &message.asks_count)
                and read_time(c, frame, MILLISECOND_NS)):
            fields.read_decimal(c, &frame.noted, SEQUENCE, 0, &message.last_id)
        message.kind = MessageKind.QUOTE

    cdef void read_snapshot(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key
        cdef Message *message = frame.message
        if not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "sequence"):
                if pair_books.once(c, &frame.data_seen, LAST_ID):
                    pair_books.read_integer(c, &message.last_id)
            elif json.equal(&key, "bids"):
                if pair_books.once(c, &frame.data_seen, BIDS):
                    pair_books.read_side(c, &frame.target, levels.read_pairs, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "asks"):
                if pair_books.once(c, &frame.data_seen, ASKS):
                    pair_books.read_side(c, &frame.target, levels.read_pairs, &message.asks_begin, &message.asks_count)
            elif json.equal(&key, "time"):
                fields.note(c, &frame.noted, TIME)
            else:
                json.skip_value(c)
        if SNAPSHOT_NEEDS & ~frame.data_seen:
            json.fail(c, json.BAD_FIELD)
        elif not fields.has(&frame.noted, TIME) or read_time(c, frame, MILLISECOND_NS):
            message.listing = frame.symbol
            message.kind = MessageKind.SNAPSHOT
            message.has_chain = 1

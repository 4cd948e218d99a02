"""Binance market data: spot, USD-M and COIN-M frames and REST depth snapshots -> messages.

Frames are raw events or combined ones, {"stream": ..., "data": {event}}. Source: Binance's "WebSocket Streams for
Binance" (spot) and "Websocket Market Streams" (USD-M, COIN-M), "Diff. Depth", "Trade", "Aggregate Trade" and "Book
Ticker" streams, and "Order Book" of the REST interface.

An event's meaning depends on `e` and its numbers on `s`, and keys may come in any order. In the usual order both are
known before they are needed, and the frame is read in one pass. A value that comes too early is checked, remembered
and read when the object has ended.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport SYMBOL_SIZE, Codec, DecodeBuffer, DecodeStatus, find_symbol
from orderflow._core.codecs cimport binance_times
from orderflow._core.types cimport Level, Listing, Message, MessageKind, Side

cdef enum Event:
    NO_EVENT = 0
    DEPTH = 1
    TRADE = 2
    AGGREGATE_TRADE = 3
    BOOK_TICKER = 4
    OTHER_EVENT = 5             # known, and of no interest
    SHUTDOWN = 6
    UNKNOWN_EVENT = 7

cdef enum Field:
    EVENT = 0                   # e
    SYMBOL = 1                  # s
    EVENT_TIME = 2              # E
    TRANSACTION_TIME = 3        # T
    FIRST_ID = 4                # U
    LAST_ID = 5                 # u
    PREVIOUS_ID = 6             # pu
    BIDS = 7                    # b: levels, or the best bid
    ASKS = 8                    # a: levels, or the best ask, or the id of an aggregate trade
    BID_QUANTITY = 9            # B
    ASK_QUANTITY = 10           # A
    TRADE_ID = 11               # t
    PRICE = 12                  # p
    QUANTITY = 13               # q
    BUYER_IS_MAKER = 14         # m
    EXECUTION = 15              # X, of futures: MARKET, INSURANCE_FUND, ADL, NA
    RESULT = 16                 # with this or the next two the exchange answers a request
    ERROR = 17
    CODE = 18
    SNAPSHOT_ID = 19            # lastUpdateId
    FIELDS = 20
    NO_FIELD = 20

cdef enum:                      # bits by Field
    TIMES = 1 << EVENT_TIME | 1 << TRANSACTION_TIME
    DEPTH_FIELDS = 1 << SYMBOL | 1 << FIRST_ID | 1 << LAST_ID | 1 << BIDS | 1 << ASKS
    TRADE_NUMBERS = 1 << PRICE | 1 << QUANTITY
    TRADE_FIELDS = 1 << SYMBOL | TRADE_NUMBERS | 1 << BUYER_IS_MAKER | 1 << TRADE_ID
    AGGREGATE_FIELDS = 1 << SYMBOL | TRADE_NUMBERS | 1 << BUYER_IS_MAKER | 1 << ASKS
    TICKER_NUMBERS = 1 << BIDS | 1 << ASKS | 1 << BID_QUANTITY | 1 << ASK_QUANTITY
    TICKER_FIELDS = 1 << SYMBOL | 1 << LAST_ID | TICKER_NUMBERS
    SNAPSHOT_FIELDS = 1 << SNAPSHOT_ID | 1 << BIDS | 1 << ASKS
    ANSWER_FIELDS = 1 << RESULT | 1 << ERROR | 1 << CODE

cdef enum:
    FOREIGN = -1                # a symbol that this connection does not carry
    UNNAMED = -2                # no symbol seen yet


cdef struct Frame:              # what is known of the event so far
    Message *message
    const Listing *listing
    levels.Target target
    int64_t event_time
    int64_t transaction_time
    Level bid                   # of a book ticker
    Level ask
    uint32_t seen               # bits by Field
    uint32_t early              # of these, remembered in `values`
    uint32_t needed             # what the kind of event must have
    uint32_t scaled             # what can be read only once the listing is known
    uint32_t read               # what is read at all; the rest is skipped
    int32_t symbol              # index of the listing, FOREIGN or UNNAMED
    int event
    bint off_market             # a futures "trade" that nobody made on the book
    const char *values[FIELDS]


cdef nogil:
    inline int letter(char c) noexcept:
        """Field of a key of one letter."""
        if c == b"e":
            return EVENT
        elif c == b"s":
            return SYMBOL
        elif c == b"E":
            return EVENT_TIME
        elif c == b"T":
            return TRANSACTION_TIME
        elif c == b"U":
            return FIRST_ID
        elif c == b"u":
            return LAST_ID
        elif c == b"b":
            return BIDS
        elif c == b"a":
            return ASKS
        elif c == b"B":
            return BID_QUANTITY
        elif c == b"A":
            return ASK_QUANTITY
        elif c == b"t":
            return TRADE_ID
        elif c == b"p":
            return PRICE
        elif c == b"q":
            return QUANTITY
        elif c == b"m":
            return BUYER_IS_MAKER
        elif c == b"X":
            return EXECUTION
        return NO_FIELD

    inline int field_of(const json.Text *key) noexcept:
        if key.length == 1:
            return letter(key.data[0])
        if json.equal(key, "pu"):
            return PREVIOUS_ID
        if json.equal(key, "result"):
            return RESULT
        if json.equal(key, "error"):
            return ERROR
        if json.equal(key, "code"):
            return CODE
        if json.equal(key, "lastUpdateId"):
            return SNAPSHOT_ID
        return NO_FIELD

    inline int event_of(const json.Text *name) noexcept:
        if json.equal(name, "depthUpdate"):
            return DEPTH
        if json.equal(name, "trade"):
            return TRADE
        if json.equal(name, "aggTrade"):
            return AGGREGATE_TRADE
        if json.equal(name, "bookTicker"):
            return BOOK_TICKER
        if json.equal(name, "serverShutdown"):
            return SHUTDOWN
        if (json.equal(name, "kline") or json.equal(name, "continuous_kline") or json.equal(name, "24hrTicker")
                or json.equal(name, "24hrMiniTicker") or json.equal(name, "1hTicker") or json.equal(name, "4hTicker")
                or json.equal(name, "1dTicker") or json.equal(name, "avgPrice") or json.equal(name, "referencePrice")
                or json.equal(name, "markPriceUpdate") or json.equal(name, "indexPriceUpdate")
                or json.equal(name, "markPrice_kline") or json.equal(name, "indexPrice_kline")
                or json.equal(name, "forceOrder") or json.equal(name, "compositeIndex")
                or json.equal(name, "contractInfo") or json.equal(name, "assetIndexUpdate")
                or json.equal(name, "tradingSession")):
            return OTHER_EVENT
        return UNKNOWN_EVENT

    inline bint read_positive(json.Cursor *c, uint8_t decimals, int64_t *out) noexcept:
        if not json.read_decimal(c, decimals, out):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if out[0] < 0 else True

    inline bint read_levels(json.Cursor *c, Frame *frame, uint32_t *begin, uint32_t *count) noexcept:
        begin[0] = frame.target.count
        if not levels.read(c, &frame.target, levels.read_pairs, False):
            return False
        count[0] = frame.target.count - begin[0]
        return True


cdef class BinanceMarketData(Codec):
    """Decoder of one Binance market data connection.

    Parameters (beside those of Codec)
    ----------
    market : "spot", "usdm" or "coinm"
        Futures updates must carry `pu`, the last id of the update before.

    Messages
    --------
    UPDATE of depthUpdate: first_id = U, last_id = u, previous_id = pu; TRADE of trade and aggTrade: last_id = t or a,
    side = the aggressor's; QUOTE of bookTicker: last_id = u, one bid and one ask level (none where the quantity is 0);
    SNAPSHOT of a REST body: last_id = lastUpdateId. Futures trades that are not X = MARKET, other events and foreign
    symbols are IGNORED; answers to requests, errors and serverShutdown are SESSION.
    """
    cdef bint futures

    def configure(self, market="spot"):
        if market not in ("spot", "usdm", "coinm"):
            raise ValueError(f"market={market!r}: expected 'spot', 'usdm' or 'coinm'")
        self.futures = market != "spot"

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        json.open(&c, data, size)
        if not self.begin(&c, &frame, out):
            return self.end(&c, &frame, out)
        if json.peek(&c) == b"[":                       # an array stream: all tickers of the market
            json.skip_value(&c)
            frame.event = OTHER_EVENT
        elif json.enter_object(&c):
            self.read_frame(&c, &frame)
        json.finish(&c)
        if c.status == json.GOOD:
            self.complete(&c, &frame)
        return self.end(&c, &frame, out)

    cdef int decode_snapshot(self, int32_t listing, const char *data, size_t size, int64_t receive_ns,
                             DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        json.open(&c, data, size)
        if not self.begin(&c, &frame, out):
            return self.end(&c, &frame, out)
        if not 0 <= listing < <int32_t>self.listing_count:
            json.fail(&c, DecodeStatus.BAD_SYMBOL)
            return self.end(&c, &frame, out)
        self.name(&frame, listing)
        json.enter_object(&c)
        self.read_snapshot(&c, &frame)
        json.finish(&c)
        if c.status == json.GOOD:
            if frame.seen & SNAPSHOT_FIELDS != SNAPSHOT_FIELDS:
                json.fail(&c, json.BAD_FIELD)
            frame.message.kind = MessageKind.SNAPSHOT
            frame.message.has_chain = True
            self.stamp(&c, &frame)
        return self.end(&c, &frame, out)

    # Beginning and end of a frame

    cdef bint begin(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        out.message_count = 0
        out.level_count = 0
        out.report_count = 0
        out.fault_listing = -1
        out.fault_offset = 0
        frame.symbol = UNNAMED
        if out.message_capacity == 0:
            return json.fail(c, DecodeStatus.TOO_MANY)
        frame.message = out.messages
        memset(frame.message, 0, sizeof(Message))
        frame.message.listing = -1
        frame.target.levels = out.levels
        frame.target.count = 0
        frame.target.capacity = out.level_capacity
        frame.event_time = 0
        frame.transaction_time = 0
        frame.seen = 0
        frame.early = 0
        frame.needed = 0
        frame.scaled = 0
        frame.read = 0
        frame.event = NO_EVENT
        frame.off_market = False
        return True

    cdef int end(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        if c.status == json.GOOD:
            out.message_count = 1
            out.level_count = frame.target.count
            return DecodeStatus.DECODED
        out.fault_listing = frame.symbol if frame.symbol >= 0 else -1
        out.fault_offset = json.offset(c)
        return c.status

    cdef void name(self, Frame *frame, int32_t symbol) noexcept nogil:
        """From here on it is known whose event this is."""
        frame.symbol = symbol
        if symbol == FOREIGN:
            frame.read = 0
            return
        frame.message.listing = symbol
        frame.listing = &self.listings[symbol]
        frame.target.price_decimals = frame.listing.price_decimals
        frame.target.quantity_decimals = frame.listing.quantity_decimals

    cdef void classify(self, Frame *frame, int event) noexcept nogil:
        """From here on it is known what the keys of this event mean."""
        frame.event = event
        if event == DEPTH:
            frame.needed = DEPTH_FIELDS | (1 << PREVIOUS_ID if self.futures else 0)
            frame.scaled = 1 << BIDS | 1 << ASKS
            frame.read = frame.needed | TIMES | 1 << PREVIOUS_ID
        elif event == TRADE:
            frame.needed = TRADE_FIELDS
            frame.scaled = TRADE_NUMBERS
            frame.read = frame.needed | TIMES | 1 << EXECUTION
        elif event == AGGREGATE_TRADE:
            frame.needed = AGGREGATE_FIELDS
            frame.scaled = TRADE_NUMBERS
            frame.read = frame.needed | TIMES
        elif event == BOOK_TICKER:
            frame.needed = TICKER_FIELDS
            frame.scaled = TICKER_NUMBERS
            frame.read = frame.needed | TIMES

    # Reading

    cdef void read_frame(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """The keys of the whole frame: those of an event, or "stream" and "data"."""
        cdef json.Text key
        cdef bint combined = False
        cdef bint streamed = False
        cdef int field
        while json.next_key(c, &key):
            if json.equal(&key, "data"):
                if combined or frame.seen:
                    json.fail(c, json.BAD_JSON)
                    return
                combined = True
                if json.peek(c) == b"[":
                    json.skip_value(c)
                    frame.event = OTHER_EVENT
                elif json.enter_object(c):
                    self.read_event(c, frame)
            elif json.equal(&key, "stream"):
                if streamed:
                    json.fail(c, json.BAD_JSON)
                    return
                streamed = True
                json.skip_value(c)
            else:
                field = field_of(&key)
                if field == NO_FIELD:
                    json.skip_value(c)
                elif combined:                          # whose key would that be?
                    json.fail(c, json.BAD_JSON)
                else:
                    self.read_value(c, frame, field)

    cdef void read_event(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key
        cdef int field
        while json.next_key(c, &key):
            field = field_of(&key)
            if field == NO_FIELD:
                json.skip_value(c)
            else:
                self.read_value(c, frame, field)

    cdef bint read_value(self, json.Cursor *c, Frame *frame, int field) noexcept nogil:
        """The value of an understood key: read it, remember it, or pass over it."""
        cdef uint32_t bit = <uint32_t>1 << field
        cdef json.Text name
        if frame.seen & bit:
            return json.fail(c, json.BAD_JSON)
        frame.seen |= bit
        if field == EVENT:
            if not json.read_text(c, &name):
                return False
            self.classify(frame, event_of(&name))
            return True
        if frame.event == NO_EVENT or (frame.symbol == UNNAMED and frame.scaled & bit):
            json.peek(c)
            frame.values[field] = c.at
            frame.early |= bit
            return json.skip_value(c)
        return self.read_field(c, frame, field)

    cdef bint read_field(self, json.Cursor *c, Frame *frame, int field) noexcept nogil:
        cdef json.Text text
        cdef Message *message = frame.message
        cdef bint maker = False
        if not frame.read & <uint32_t>1 << field:
            return json.skip_value(c)
        if field == SYMBOL:
            if not json.read_text(c, &text):
                return False
            if text.length > SYMBOL_SIZE:
                return json.fail(c, DecodeStatus.BAD_SYMBOL)
            self.name(frame, find_symbol(&self.symbols, text.data, text.length))
            return True
        elif field == EVENT_TIME:
            return json.read_int64(c, &frame.event_time)
        elif field == TRANSACTION_TIME:
            return json.read_int64(c, &frame.transaction_time)
        elif field == FIRST_ID:
            return json.read_int64(c, &message.first_id)
        elif field == LAST_ID or field == TRADE_ID:
            return json.read_int64(c, &message.last_id)
        elif field == PREVIOUS_ID:
            return json.read_int64(c, &message.previous_id)
        elif field == BIDS:
            if frame.event == DEPTH:
                return read_levels(c, frame, &message.bids_begin, &message.bids_count)
            return read_positive(c, frame.listing.price_decimals, &frame.bid.price)
        elif field == ASKS:
            if frame.event == DEPTH:
                return read_levels(c, frame, &message.asks_begin, &message.asks_count)
            if frame.event == AGGREGATE_TRADE:
                return json.read_int64(c, &message.last_id)
            return read_positive(c, frame.listing.price_decimals, &frame.ask.price)
        elif field == BID_QUANTITY:
            return read_positive(c, frame.listing.quantity_decimals, &frame.bid.quantity)
        elif field == ASK_QUANTITY:
            return read_positive(c, frame.listing.quantity_decimals, &frame.ask.quantity)
        elif field == PRICE:
            return read_positive(c, frame.listing.price_decimals, &message.price)
        elif field == QUANTITY:
            return read_positive(c, frame.listing.quantity_decimals, &message.quantity)
        elif field == BUYER_IS_MAKER:
            if not json.read_bool(c, &maker):
                return False
            message.side = Side.SELL if maker else Side.BUY
            return True
        if not json.read_text(c, &text):                # EXECUTION
            return False
        frame.off_market = not json.equal(&text, "MARKET")
        return True

    cdef void read_snapshot(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key
        cdef int field
        while json.next_key(c, &key):
            if json.equal(&key, "bids"):
                field = BIDS
            elif json.equal(&key, "asks"):
                field = ASKS
            else:
                field = field_of(&key)
                if field != SNAPSHOT_ID and field != EVENT_TIME and field != TRANSACTION_TIME:
                    json.skip_value(c)
                    continue
            if frame.seen & <uint32_t>1 << field:
                json.fail(c, json.BAD_JSON)
                return
            frame.seen |= <uint32_t>1 << field
            if field == BIDS:
                read_levels(c, frame, &frame.message.bids_begin, &frame.message.bids_count)
            elif field == ASKS:
                read_levels(c, frame, &frame.message.asks_begin, &frame.message.asks_count)
            elif field == SNAPSHOT_ID:
                json.read_int64(c, &frame.message.last_id)
            elif field == EVENT_TIME:
                json.read_int64(c, &frame.event_time)
            else:
                json.read_int64(c, &frame.transaction_time)

    # Concluding

    cdef void complete(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """The frame is whole: read what came too early, and say what it was."""
        cdef Message *message = frame.message
        if frame.event == NO_EVENT and frame.seen & TICKER_FIELDS == TICKER_FIELDS:
            self.classify(frame, BOOK_TICKER)           # the only event of spot that does not name itself
        if frame.event == NO_EVENT:
            if frame.seen & ANSWER_FIELDS:
                message.kind = MessageKind.SESSION
            elif not frame.seen & <uint32_t>1 << SNAPSHOT_ID:       # else a partial book: names no symbol
                json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if frame.event >= OTHER_EVENT:
            if frame.event == SHUTDOWN:
                message.kind = MessageKind.SESSION
            elif frame.event == UNKNOWN_EVENT:
                json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
            return
        if frame.early and not self.read_early(c, frame):
            return
        if frame.symbol == FOREIGN:
            frame.target.count = 0
            return
        if frame.needed & ~frame.seen:
            json.fail(c, json.BAD_FIELD)
            return
        if frame.event == DEPTH:
            message.kind = MessageKind.UPDATE
            message.has_chain = True
        elif frame.event == BOOK_TICKER:
            self.put_quote(c, frame)
        elif not frame.off_market:
            message.kind = MessageKind.TRADE
        self.stamp(c, frame)

    cdef bint read_early(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """Values that came before it was known what they mean, the symbol first."""
        cdef const char *at = c.at
        cdef const char *end = c.end
        cdef uint32_t left = frame.early
        cdef int field
        if left & <uint32_t>1 << SYMBOL:
            c.at = frame.values[<int>SYMBOL]
            if not self.read_field(c, frame, SYMBOL):
                return False
            left &= ~(<uint32_t>1 << SYMBOL)
        if frame.symbol == UNNAMED:
            return json.fail(c, json.BAD_FIELD)
        while left:
            field = <int>fixed.count_trailing_zeros(left)
            left &= left - 1
            c.at = frame.values[field]
            if not self.read_field(c, frame, field):
                return False
        c.at = at
        c.end = end
        return True

    cdef void put_quote(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """The best bid and ask become one level each."""
        cdef Message *message = frame.message
        if frame.target.capacity < 2:
            json.fail(c, DecodeStatus.TOO_MANY)
            return
        message.kind = MessageKind.QUOTE
        message.bids_count = frame.bid.quantity != 0
        message.asks_begin = message.bids_count
        message.asks_count = frame.ask.quantity != 0
        frame.target.levels[0] = frame.bid
        frame.target.levels[message.asks_begin] = frame.ask
        frame.target.count = message.bids_count + message.asks_count

    cdef void stamp(self, json.Cursor *c, Frame *frame) noexcept nogil:
        """The time of the matching engine where it is given, else that of the event."""
        frame.message.exchange_ns = binance_times.unix_ns(c, frame.transaction_time or frame.event_time)

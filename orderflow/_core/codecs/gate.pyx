"""Gate.io market data, spot and USDT-settled perpetuals: frames and REST order books -> messages.

Sources: Gate's "API v4" documents, "Spot WebSocket v4" and "Futures WebSocket v4" (order_book_update, trades), and
"Order book" of the REST interface.

A frame is {"time", "channel", "event", "result"}; `result` that comes before channel and event is checked, remembered
and read when the frame has ended. A futures frame spells the keys of its result in the order of the alphabet, the sides
before the symbol that scales them: these are remembered in the same way.

Updates tell of the best levels only, but of all that happens to them: one that falls out is deleted, one that comes
back is told again. Recorded: 7.899 comes, 6.424, the hundredth then, goes; 7.899 goes, 6.424 comes.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcmp, memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport pair_books
from orderflow._core.types cimport Level, Listing, Message, MessageKind, Side

cdef enum:
    CREATED_DECIMALS = 6        # of milliseconds, so that they count nanoseconds

cdef enum Channel:
    NO_CHANNEL = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    SYSTEM = 4                  # notices
    UNKNOWN_CHANNEL = 5

cdef enum Event:
    NO_EVENT = 0
    NEWS = 1                    # "update"
    ANSWER = 2                  # "subscribe" or "unsubscribe"
    UNKNOWN_EVENT = 3

cdef enum FrameKey:             # bits
    CHANNEL = 1
    EVENT = 2
    RESULT = 4
    ERROR = 8

cdef enum BookKey:              # bits
    BOOK_SYMBOL = 1
    FIRST_ID = 2
    LAST_ID = 4
    BIDS = 8
    ASKS = 16
    BOOK_TIME = 32
    FULL = 64
    BOOK_NEEDS = BOOK_SYMBOL | FIRST_ID | LAST_ID | BIDS | ASKS
    FULL_NEEDS = BOOK_SYMBOL | LAST_ID | BIDS | ASKS
    SNAPSHOT_NEEDS = LAST_ID | BIDS | ASKS

cdef enum TradeKey:             # bits
    TRADE_SYMBOL = 1
    TRADE_ID = 2
    PRICE = 4
    QUANTITY = 8
    SIDE = 16
    TRADE_TIME = 32
    INTERNAL = 64
    FUTURES_NEEDS = TRADE_SYMBOL | TRADE_ID | PRICE | QUANTITY | TRADE_TIME
    SPOT_NEEDS = FUTURES_NEEDS | SIDE


cdef struct Frame:
    const char *late            # `result` that came too early
    const Listing *listing
    levels.Target target
    uint32_t seen
    int32_t symbol              # index of the listing, FOREIGN or UNNAMED
    int channel
    int event
    bint failed                 # `error` tells of one


cdef nogil:
    inline int channel_of(const char *name, uint32_t length) noexcept:
        """What a channel is, without the market that its name begins with."""
        cdef json.Text text
        text.data = name
        text.length = length
        if json.equal(&text, "order_book_update"):
            return BOOK
        if json.equal(&text, "trades"):
            return TRADES
        if (json.equal(&text, "tickers") or json.equal(&text, "candlesticks") or json.equal(&text, "book_ticker")
                or json.equal(&text, "order_book") or json.equal(&text, "obu") or json.equal(&text, "pong")
                or json.equal(&text, "trades_v2") or json.equal(&text, "contract_stats")
                or json.equal(&text, "public_liquidates") or json.equal(&text, "contracts")):
            return QUIET
        if json.equal(&text, "system"):
            return SYSTEM
        return UNKNOWN_CHANNEL

    inline int event_of(const json.Text *name) noexcept:
        if json.equal(name, "update"):
            return NEWS
        if json.equal(name, "subscribe") or json.equal(name, "unsubscribe"):
            return ANSWER
        return UNKNOWN_EVENT

    inline bint follows(const char *at, const char *literal, size_t length) noexcept:
        return memcmp(at, literal, length) == 0


cdef const char *read_contracts(const char *begin, const char *at, const char *end, unsigned price_decimals,
                                unsigned quantity_decimals, int64_t *out, uint32_t capacity,
                                uint32_t *count) noexcept nogil:
    """A levels.Reader of {"p":"0.7696","s":1056}: price, and a bare number of contracts."""
    cdef const char *p
    while count[0] < capacity and end - at > 16:
        if not follows(at + 1, '{"p":"', 6):
            break
        p = levels.number(at + 7, price_decimals, out)
        if p is NULL or p >= end or not follows(p, '","s":', 6):
            break
        p = levels.number(p + 6, quantity_decimals, out + 1)
        if p is NULL or p >= end or p[0] != b"}":
            break
        at = p + 1
        out += 2
        count[0] += 1
        if at >= end or at[0] != b",":
            break
    return at


cdef bint read_contract(json.Cursor *c, const levels.Target *target, Level *level) noexcept nogil:
    """{"p": ..., "s": ...} in any order, with anything else among them."""
    cdef json.Text key
    cdef uint32_t seen = 0
    if not json.enter_object(c):
        return False
    while json.next_key(c, &key):
        if json.equal(&key, "p"):
            if pair_books.once(c, &seen, PRICE):
                json.read_decimal(c, target.price_decimals, &level.price)
        elif json.equal(&key, "s"):
            if pair_books.once(c, &seen, QUANTITY):
                json.read_decimal(c, target.quantity_decimals, &level.quantity)
        else:
            json.skip_value(c)
    if seen != PRICE | QUANTITY:
        return json.fail(c, json.BAD_FIELD)
    return c.status == json.GOOD


cdef bint read_contract_levels(json.Cursor *c, levels.Target *target) noexcept nogil:
    """An array of {"p", "s"}, appended to the target."""
    cdef Level *level
    if not json.enter_array(c):
        return False
    levels.read_fast(c, target, read_contracts, False)
    while json.next_element(c):
        if target.count == target.capacity:
            return json.fail(c, DecodeStatus.TOO_MANY)
        level = &target.levels[target.count]
        if not read_contract(c, target, level):
            return False
        if level.price < 0 or level.quantity < 0:
            return json.fail(c, fixed.NUMBER_RANGE)
        target.count += 1
        if c.at < c.end and c.at[0] == b",":
            levels.read_fast(c, target, read_contracts, False)
    return c.status == json.GOOD


cdef class GateMarketData(Codec):
    """Decoder of one Gate.io market data connection.

    Parameters (beside those of Codec)
    ----------
    market : "spot" or "futures"
        Futures count contracts, write levels as objects and tell the taker's side by the sign of the size.

    Messages
    --------
    UPDATE of order_book_update: first_id = U, last_id = u; SNAPSHOT, last_id = u, where it says that it is the full
    book, and of a REST body: last_id = id. TRADE of trades: last_id = id, side = the taker's. Answers, errors and
    notices are SESSION. Foreign symbols, other channels and futures trades that nobody made on the book are IGNORED.
    """
    cdef bint futures

    def configure(self, market="spot"):
        if market not in ("spot", "futures"):
            raise ValueError(f"market={market!r}: expected 'spot' or 'futures'")
        self.futures = market == "futures"

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        memset(&frame, 0, sizeof(Frame))
        frame.symbol = pair_books.UNNAMED
        pair_books.begin(&c, &frame.target, data, size, out)
        if json.enter_object(&c):
            self.read_frame(&c, &frame, out)
        return pair_books.end(&c, &frame.target, out, frame.symbol)

    cdef int decode_snapshot(self, int32_t listing, const char *data, size_t size, int64_t receive_ns,
                             DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        memset(&frame, 0, sizeof(Frame))
        frame.symbol = pair_books.UNNAMED
        pair_books.begin(&c, &frame.target, data, size, out)
        if not 0 <= listing < <int32_t>self.listing_count:
            json.fail(&c, DecodeStatus.BAD_SYMBOL)
        else:
            self.name(&frame, listing)
            self.read_snapshot(&c, &frame, out)
        return pair_books.end(&c, &frame.target, out, frame.symbol)

    cdef void name(self, Frame *frame, int32_t symbol) noexcept nogil:
        """From here on it is known whose book or trade this is."""
        frame.symbol = symbol
        if symbol == pair_books.FOREIGN:
            return
        frame.listing = &self.listings[symbol]
        frame.target.price_decimals = frame.listing.price_decimals
        frame.target.quantity_decimals = frame.listing.quantity_decimals

    cdef bint read_symbol(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text text
        cdef int32_t symbol = pair_books.UNNAMED
        if not json.read_text(c, &text) or not pair_books.find(c, &self.symbols, text.data, text.length, &symbol):
            return False
        self.name(frame, symbol)
        return True

    cdef int read_channel(self, const json.Text *name) noexcept nogil:
        if not self.futures and name.length > 5 and follows(name.data, "spot.", 5):
            return channel_of(name.data + 5, name.length - 5)
        if self.futures and name.length > 8 and follows(name.data, "futures.", 8):
            return channel_of(name.data + 8, name.length - 8)
        return UNKNOWN_CHANNEL

    # Frames

    cdef void read_frame(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        while json.next_key(c, &key):
            if json.equal(&key, "channel"):
                if pair_books.once(c, &frame.seen, CHANNEL) and json.read_text(c, &text):
                    frame.channel = self.read_channel(&text)
            elif json.equal(&key, "event"):
                if pair_books.once(c, &frame.seen, EVENT) and json.read_text(c, &text):
                    frame.event = event_of(&text)
            elif json.equal(&key, "result"):
                if not pair_books.once(c, &frame.seen, RESULT):
                    return
                if frame.channel == NO_CHANNEL or frame.event == NO_EVENT:
                    json.peek(c)
                    frame.late = c.at
                    json.skip_value(c)
                else:
                    self.read_result(c, frame, out)
            elif json.equal(&key, "error"):
                if pair_books.once(c, &frame.seen, ERROR):
                    frame.failed = json.peek(c) != b"n"
                    json.skip_value(c)
            else:
                json.skip_value(c)
        if not json.finish(c):
            return
        if frame.late is not NULL:
            c.at = frame.late
            self.read_result(c, frame, out)
        if out.message_count == 0:
            self.conclude(c, frame, out)

    cdef void conclude(self, json.Cursor *c, const Frame *frame, DecodeBuffer *out) noexcept nogil:
        """A frame without news of a book or trade: what is it?"""
        cdef Message *message
        cdef bint session
        if c.status != json.GOOD:
            return
        session = frame.failed or frame.event == ANSWER or frame.channel == SYSTEM
        if not session and frame.channel != QUIET:
            if frame.channel != BOOK and frame.channel != TRADES or frame.event == UNKNOWN_EVENT:
                json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
                return
            if frame.event == NO_EVENT or not frame.seen & RESULT:
                json.fail(c, json.BAD_FIELD)
                return
        message = pair_books.add(c, out)
        if message is not NULL and session:
            message.kind = MessageKind.SESSION

    cdef void read_result(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        if frame.event != NEWS or frame.channel == NO_CHANNEL or frame.channel >= QUIET:
            json.skip_value(c)
        elif frame.channel == BOOK:
            self.read_book(c, frame, out)
        elif json.peek(c) == b"[":
            json.enter_array(c)
            while json.next_element(c):
                self.read_trade(c, frame, out)
        else:
            self.read_trade(c, frame, out)

    # Books

    cdef bint read_levels(self, json.Cursor *c, Frame *frame, uint32_t *first, uint32_t *count) noexcept nogil:
        cdef bint good
        if frame.symbol == pair_books.FOREIGN:
            return json.skip_value(c)
        first[0] = frame.target.count
        if self.futures:
            good = read_contract_levels(c, &frame.target)
        else:
            good = levels.read(c, &frame.target, levels.read_pairs, False)
        count[0] = frame.target.count - first[0]
        return good

    cdef void read_side(self, json.Cursor *c, Frame *frame, const char **early, uint32_t *first,
                        uint32_t *count) noexcept nogil:
        """One side, or where it stands if it is not known yet whose it is."""
        if frame.symbol != pair_books.UNNAMED:
            self.read_levels(c, frame, first, count)
            return
        json.peek(c)
        early[0] = c.at
        json.skip_value(c)

    cdef void read_book(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key
        cdef const char *bids = NULL
        cdef const char *asks = NULL
        cdef const char *after
        cdef uint32_t seen = 0
        cdef bint full = False
        cdef Message *message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "s"):
                if pair_books.once(c, &seen, BOOK_SYMBOL):
                    self.read_symbol(c, frame)
            elif json.equal(&key, "U"):
                if pair_books.once(c, &seen, FIRST_ID):
                    json.read_int64(c, &message.first_id)
            elif json.equal(&key, "u"):
                if pair_books.once(c, &seen, LAST_ID):
                    json.read_int64(c, &message.last_id)
            elif json.equal(&key, "b"):
                if pair_books.once(c, &seen, BIDS):
                    self.read_side(c, frame, &bids, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "a"):
                if pair_books.once(c, &seen, ASKS):
                    self.read_side(c, frame, &asks, &message.asks_begin, &message.asks_count)
            elif json.equal(&key, "t"):
                if pair_books.once(c, &seen, BOOK_TIME):
                    pair_books.read_time(c, &message.exchange_ns)
            elif json.equal(&key, "full"):
                if pair_books.once(c, &seen, FULL):
                    json.read_bool(c, &full)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return
        after = c.at
        if bids is not NULL and frame.symbol != pair_books.UNNAMED:
            c.at = bids
            self.read_levels(c, frame, &message.bids_begin, &message.bids_count)
        if asks is not NULL and frame.symbol != pair_books.UNNAMED and c.status == json.GOOD:
            c.at = asks
            self.read_levels(c, frame, &message.asks_begin, &message.asks_count)
        if c.status != json.GOOD:
            return
        c.at = after
        c.first = False
        if (FULL_NEEDS if full else BOOK_NEEDS) & ~seen:
            json.fail(c, json.BAD_FIELD)
        elif frame.symbol == pair_books.FOREIGN:
            memset(message, 0, sizeof(Message))
            message.listing = -1
        else:
            message.listing = frame.symbol
            message.has_chain = 1
            message.kind = MessageKind.SNAPSHOT if full else MessageKind.UPDATE

    cdef void read_snapshot(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        """A REST order book. Its times are no exact decimals in futures; they are not read."""
        cdef json.Text key
        cdef uint32_t seen = 0
        cdef Message *message = pair_books.add(c, out)
        if message is NULL or not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "id"):
                if pair_books.once(c, &seen, LAST_ID):
                    json.read_int64(c, &message.last_id)
            elif json.equal(&key, "bids"):
                if pair_books.once(c, &seen, BIDS):
                    self.read_levels(c, frame, &message.bids_begin, &message.bids_count)
            elif json.equal(&key, "asks"):
                if pair_books.once(c, &seen, ASKS):
                    self.read_levels(c, frame, &message.asks_begin, &message.asks_count)
            else:
                json.skip_value(c)
        if not json.finish(c):
            return
        if SNAPSHOT_NEEDS & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        message.listing = frame.symbol
        message.kind = MessageKind.SNAPSHOT
        message.has_chain = 1

    # Trades

    cdef void read_trade(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key
        cdef const char *price = NULL
        cdef const char *quantity = NULL
        cdef const char *after
        cdef uint32_t seen = 0
        cdef bint internal = False
        cdef Message *message = pair_books.add(c, out)
        frame.symbol = pair_books.UNNAMED
        if message is NULL or not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if json.equal(&key, "id"):
                if pair_books.once(c, &seen, TRADE_ID):
                    pair_books.read_integer(c, &message.last_id)
            elif json.equal(&key, "contract" if self.futures else "currency_pair"):
                if pair_books.once(c, &seen, TRADE_SYMBOL):
                    self.read_symbol(c, frame)
            elif json.equal(&key, "price"):
                if pair_books.once(c, &seen, PRICE):
                    json.peek(c)
                    price = c.at
                    json.skip_value(c)
            elif json.equal(&key, "size" if self.futures else "amount"):
                if pair_books.once(c, &seen, QUANTITY):
                    json.peek(c)
                    quantity = c.at
                    json.skip_value(c)
            elif not self.futures and json.equal(&key, "side"):
                if pair_books.once(c, &seen, SIDE):
                    pair_books.read_taker(c, "buy", "sell", &message.side)
            elif json.equal(&key, "create_time_ms"):
                if pair_books.once(c, &seen, TRADE_TIME):
                    pair_books.read_positive(c, CREATED_DECIMALS, &message.exchange_ns)
            elif self.futures and json.equal(&key, "is_internal"):
                if pair_books.once(c, &seen, INTERNAL):
                    json.read_bool(c, &internal)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return
        if (FUTURES_NEEDS if self.futures else SPOT_NEEDS) & ~seen:
            json.fail(c, json.BAD_FIELD)
            return
        after = c.at
        if frame.symbol != pair_books.FOREIGN and not internal:
            c.at = price
            if pair_books.read_positive(c, frame.listing.price_decimals, &message.price):
                c.at = quantity
                self.read_size(c, frame, message)
        if c.status == json.GOOD:
            c.at = after
            c.first = False

    cdef void read_size(self, json.Cursor *c, const Frame *frame, Message *message) noexcept nogil:
        """How much was traded; of futures also by whom, and nothing where nothing changed hands."""
        cdef int64_t size = 0
        if not self.futures:
            if not pair_books.read_positive(c, frame.listing.quantity_decimals, &message.quantity):
                return
        else:
            if not json.read_decimal(c, frame.listing.quantity_decimals, &size) or size == 0:
                return
            message.side = Side.BUY if size > 0 else Side.SELL
            message.quantity = size if size > 0 else -size
        message.listing = frame.symbol
        message.kind = MessageKind.TRADE

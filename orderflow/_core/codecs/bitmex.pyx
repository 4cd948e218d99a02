"""BitMEX market data: frames -> messages.

Source: BitMEX's "WebSocket API" (Subscriptions; Response Format), tables orderBookL2, orderBookL2_25 and trade.

A frame is {"table", "action", "data": [row, ...]}. Of a book, `partial` is all of it; `insert`, `update` and `delete`
change levels, which are named by (symbol, id, side). Until 2023 rows of `update` and `delete` had no price, so the
price of every id is kept; today each row has its own. Keys come in any order: `data` that comes before what it
depends on is checked, remembered and read when the frame has ended.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from orderflow._core cimport fixed, json, levels, rfc3339
from orderflow._core.codec cimport SYMBOL_SIZE, Codec, DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport fields, level_ids, pair_books, two_sides
from orderflow._core.types cimport Level, Message, MessageKind, Side

cdef enum Table:
    NO_TABLE = 0
    BOOK = 1
    TRADES = 2
    QUIET = 3                   # known, and of no interest
    UNKNOWN_TABLE = 4

cdef enum Action:
    NO_ACTION = 0
    PARTIAL = 1
    INSERT = 2
    UPDATE = 3
    DELETE = 4
    UNKNOWN_ACTION = 5

cdef enum FrameKey:             # bits
    TABLE = 1
    ACTION = 2
    DATA = 4
    FILTER = 8
    ANSWER = 16                 # any key that only answers and errors have

cdef enum RowKey:               # indices of fields
    SYMBOL = 0
    ID = 1
    SIDE = 2
    SIZE = 3
    PRICE = 4
    TIME = 5


cdef struct Row:                # of a book
    int64_t id
    int64_t size
    int64_t price
    int64_t exchange_ns
    uint32_t side
    bint has_size
    bint has_price


cdef struct Frame:
    levels.Target target
    two_sides.Sides sides
    Message *message            # of the book whose rows are being read
    const char *late            # `data` that came too early
    const char *name            # symbol of the last row of ours, as it stands in the frame
    uint32_t name_length
    uint32_t seen
    int32_t symbol              # of the last row
    int32_t filtered            # the symbol that `filter` names
    int table
    int action


cdef nogil:
    inline int table_of(const json.Text *name) noexcept:
        if json.equal(name, "orderBookL2") or json.equal(name, "orderBookL2_25"):
            return BOOK
        if json.equal(name, "trade"):
            return TRADES
        if (json.equal(name, "quote") or json.equal(name, "orderBook10") or json.equal(name, "instrument")
                or json.equal(name, "funding") or json.equal(name, "liquidation") or json.equal(name, "settlement")
                or json.equal(name, "insurance") or json.equal(name, "announcement") or json.equal(name, "chat")
                or json.equal(name, "connected") or json.equal(name, "publicNotifications")
                or is_bin(name, "quoteBin", 8) or is_bin(name, "tradeBin", 8)):
            return QUIET
        return UNKNOWN_TABLE

    inline bint is_bin(const json.Text *name, const char *word, uint32_t length) noexcept:
        """quoteBin1m, tradeBin1d, ..."""
        return name.length > length and memcmp(name.data, word, length) == 0

    inline int action_of(const json.Text *name) noexcept:
        if json.equal(name, "update"):
            return UPDATE
        if json.equal(name, "insert"):
            return INSERT
        if json.equal(name, "delete"):
            return DELETE
        return PARTIAL if json.equal(name, "partial") else UNKNOWN_ACTION

    inline int row_key_of(const json.Text *key) noexcept:
        if json.equal(key, "symbol"):
            return SYMBOL
        if json.equal(key, "id"):
            return ID
        if json.equal(key, "side"):
            return SIDE
        if json.equal(key, "size"):
            return SIZE
        if json.equal(key, "price"):
            return PRICE
        return TIME if json.equal(key, "timestamp") else -1

    inline bint is_there(const DecodeBuffer *out, int32_t listing) noexcept:
        """Whether the frame has a message of that listing: rows of one book may stand apart."""
        cdef uint32_t i
        for i in range(out.message_count):
            if out.messages[i].listing == listing:
                return True
        return False

    inline bint follows(const char *p, const char *end, const char *literal, uint32_t length) noexcept:
        return end - p >= length and memcmp(p, literal, length) == 0

    inline bint note_row(json.Cursor *c, fields.Fields *row) noexcept:
        """Keep where the values of one row stand."""
        cdef json.Text key
        cdef int index
        row.present = 0
        if not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            index = row_key_of(&key)
            if index < 0:
                json.skip_value(c)
            else:
                fields.note(c, row, <uint32_t>index)
        return c.status == json.GOOD

    inline bint read_number(json.Cursor *c, const fields.Fields *row, uint32_t index, unsigned char decimals,
                            int64_t *out) noexcept:
        if not fields.read_decimal(c, row, index, decimals, out):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if out[0] < 0 else True

    inline bint read_side(json.Cursor *c, const fields.Fields *row, uint32_t *out) noexcept:
        cdef json.Cursor field
        cdef json.Text text
        if not fields.read_text(c, row, SIDE, &field, &text):
            return False
        out[0] = Side.BUY if json.equal(&text, "Buy") else Side.SELL if json.equal(&text, "Sell") else Side.NO_SIDE
        return True if out[0] != Side.NO_SIDE else json.fail(c, json.BAD_FIELD)

    inline bint read_time(json.Cursor *c, const fields.Fields *row, int64_t *out) noexcept:
        cdef json.Cursor field
        cdef json.Text text
        if not fields.read_text(c, row, TIME, &field, &text):
            return False
        return rfc3339.parse(&text, out) or json.fail(c, json.BAD_FIELD)

    inline const char *usual_integer(const char *p, int64_t *out) noexcept:
        """Up to 15 digits, word by word; NULL if there are more, or none."""
        cdef uint64_t word = fixed.load_word(p)
        cdef uint32_t count = fixed.digit_run(word)
        cdef uint64_t value
        if count == 0 or (count > 1 and p[0] == b"0"):
            return NULL
        value = fixed.digits_value(word, count)
        p += count
        if count == 8:
            word = fixed.load_word(p)
            count = fixed.digit_run(word)
            if count == 8:
                return NULL
            if count:
                value = value * fixed.POWERS[count] + fixed.digits_value(word, count)
                p += count
        out[0] = <int64_t>value
        return p

    inline const char *usual_time(const char *p, const char *end, int64_t *out) noexcept:
        """2021-07-22T22:36:10.431Z and the quote behind it; NULL if it is spelt otherwise."""
        cdef json.Text text
        if end - p < 25 or p[24] != b'"':
            return NULL
        text.data = p
        text.length = 24
        return p + 25 if rfc3339.parse(&text, out) else NULL

    inline const char *usual_rest(const char *p, const char *end, const levels.Target *target, Row *row) noexcept:
        """What follows the symbol of a row as BitMEX writes it, without spaces and with keys in its order; NULL if it
        is spelt otherwise."""
        cdef int64_t ignored
        row.has_size = row.has_price = False
        row.exchange_ns = 0
        if not follows(p, end, '","id":', 7):
            return NULL
        p = usual_integer(p + 7, &row.id)
        if p is NULL:
            return NULL
        if follows(p, end, ',"side":"Buy"', 13):
            row.side = Side.BUY
            p += 13
        elif follows(p, end, ',"side":"Sell"', 14):
            row.side = Side.SELL
            p += 14
        else:
            return NULL
        if follows(p, end, ',"size":', 8):
            p = (levels.number(p + 8, target.quantity_decimals, &row.size) if target.quantity_decimals
                 else usual_integer(p + 8, &row.size))
            row.has_size = True
        if p is not NULL and follows(p, end, ',"price":', 9):
            p = levels.number(p + 9, target.price_decimals, &row.price)
            row.has_price = True
        if p is not NULL and follows(p, end, ',"timestamp":"', 14):
            p = usual_time(p + 14, end, &row.exchange_ns)
        if p is not NULL and follows(p, end, ',"transactTime":"', 17):
            p = usual_time(p + 17, end, &ignored)
        return p + 1 if p is not NULL and follows(p, end, "}", 1) else NULL


cdef class BitmexMarketData(Codec):
    """Decoder of one BitMEX realtime connection.

    Messages
    --------
    SNAPSHOT and UPDATE of orderBookL2 and orderBookL2_25; what comes of a book before its `partial` is IGNORED. A
    change of an id that is not in the book is BAD_FIELD: something was lost. TRADE of inserted trades: side = the
    taker's. Answers, errors and the welcome are SESSION; pongs, foreign symbols and other tables IGNORED.
    """
    cdef level_ids.LevelIds *ids        # by listing; without room for those that are not of this connection
    cdef uint32_t ids_count

    def configure(self):
        """Room for the ids of every listing of this connection."""
        self.ids = <level_ids.LevelIds *>calloc(self.listing_count + 1, sizeof(level_ids.LevelIds))
        if self.ids is NULL:
            raise MemoryError()
        self.ids_count = self.listing_count
        for listing in self.symbols_by_listing():
            level_ids.create(&self.ids[<uint32_t>listing])

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.ids_count):
            level_ids.destroy(&self.ids[i])
        free(self.ids)

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        cdef json.Cursor c
        cdef Frame frame
        pair_books.begin(&c, &frame.target, data, size, out)
        frame.message = NULL
        frame.late = frame.name = NULL
        frame.name_length = frame.seen = 0
        frame.symbol = frame.filtered = pair_books.UNNAMED
        frame.table = NO_TABLE
        frame.action = NO_ACTION
        if size == 4 and memcmp(data, b"pong", 4) == 0:
            pair_books.add(&c, out)
        elif json.enter_object(&c):
            self.read_frame(&c, &frame, out)
            if c.status != json.GOOD and frame.table == BOOK and frame.symbol >= 0:
                self.ids[frame.symbol].loaded = False       # part of the frame may be in it
        return pair_books.end(&c, &frame.target, out, frame.symbol)

    cdef void read_frame(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        cdef json.Text key, text
        while json.next_key(c, &key):
            if json.equal(&key, "table"):
                if pair_books.once(c, &frame.seen, TABLE) and json.read_text(c, &text):
                    frame.table = table_of(&text)
            elif json.equal(&key, "action"):
                if pair_books.once(c, &frame.seen, ACTION) and json.read_text(c, &text):
                    frame.action = action_of(&text)
            elif json.equal(&key, "data"):
                if not pair_books.once(c, &frame.seen, DATA):
                    return
                if frame.table == NO_TABLE or frame.action == NO_ACTION:
                    json.peek(c)
                    frame.late = c.at
                    json.skip_value(c)
                else:
                    self.read_data(c, frame, out)
            elif json.equal(&key, "filter"):
                if pair_books.once(c, &frame.seen, FILTER):
                    self.read_filter(c, frame)
            else:
                if (json.equal(&key, "success") or json.equal(&key, "error") or json.equal(&key, "info")
                        or json.equal(&key, "subscribe") or json.equal(&key, "unsubscribe")):
                    frame.seen |= ANSWER
                json.skip_value(c)
        if not json.finish(c):
            return
        if frame.late is not NULL and frame.table != NO_TABLE and frame.action != NO_ACTION:
            c.at = frame.late
            self.read_data(c, frame, out)
        if c.status == json.GOOD and out.message_count == 0:
            self.conclude(c, frame, out)

    cdef void conclude(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        """A frame without rows of ours: what is it?"""
        cdef Message *message
        if frame.table == NO_TABLE and frame.seen & ANSWER:
            message = pair_books.add(c, out)
            if message is not NULL:
                message.kind = MessageKind.SESSION
        elif frame.table == NO_TABLE or frame.table == UNKNOWN_TABLE or frame.action == UNKNOWN_ACTION:
            json.fail(c, DecodeStatus.UNKNOWN_MESSAGE)
        elif frame.table != QUIET and (frame.action == NO_ACTION or not frame.seen & DATA):
            json.fail(c, json.BAD_FIELD)
        elif (frame.table == BOOK and frame.action == PARTIAL and frame.symbol == pair_books.UNNAMED
                and frame.filtered >= 0):
            frame.symbol = frame.filtered       # of a book without levels, only the filter says whose it is
            if self.begin_book(c, frame, out):
                two_sides.gather(&frame.sides, frame.message)
        else:
            pair_books.add(c, out)

    cdef void read_filter(self, json.Cursor *c, Frame *frame) noexcept nogil:
        cdef json.Text key, text
        cdef uint32_t seen = 0
        if not json.enter_object(c):
            return
        while json.next_key(c, &key):
            if not json.equal(&key, "symbol"):
                json.skip_value(c)
            elif pair_books.once(c, &seen, 1) and json.read_text(c, &text):
                pair_books.find(c, &self.symbols, text.data, text.length, &frame.filtered)

    cdef void read_data(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        if frame.table == BOOK and frame.action != UNKNOWN_ACTION:
            self.read_rows(c, frame, out)
        elif frame.table == TRADES and frame.action == INSERT:
            if json.enter_array(c):
                while json.next_element(c):
                    frame.symbol = pair_books.UNNAMED
                    if not self.read_trade(c, frame, out):
                        return
        else:
            json.skip_value(c)

    cdef bint turn_to(self, json.Cursor *c, Frame *frame, int32_t symbol, DecodeBuffer *out) noexcept nogil:
        """The next row is of this symbol; the book that was read has ended where it is another."""
        if symbol == frame.symbol:
            return True
        if frame.message is not NULL:
            two_sides.gather(&frame.sides, frame.message)
            frame.message = NULL
        frame.symbol = symbol
        return symbol < 0 or self.begin_book(c, frame, out)

    cdef bint begin_book(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        """Rows of a book of ours come; without a message where there was no whole book yet."""
        cdef level_ids.LevelIds *ids = &self.ids[frame.symbol]
        cdef bint whole = frame.action == PARTIAL and not is_there(out, frame.symbol)
        frame.target.price_decimals = self.listings[frame.symbol].price_decimals
        frame.target.quantity_decimals = self.listings[frame.symbol].quantity_decimals
        if whole:
            level_ids.clear(ids)
            ids.loaded = True
        elif not ids.loaded:
            return True
        frame.message = pair_books.add(c, out)
        if frame.message is NULL:
            return False
        frame.message.listing = frame.symbol
        frame.message.kind = MessageKind.SNAPSHOT if whole else MessageKind.UPDATE
        two_sides.begin(&frame.sides, &frame.target)
        return True

    cdef void read_rows(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        cdef Row row
        if not json.enter_array(c):
            return
        while json.next_element(c):
            if not self.read_usual_row(c, frame, &row, out) and not self.read_row(c, frame, &row, out):
                return
            if frame.message is not NULL and not self.apply(c, frame, &row):
                return
        if frame.message is not NULL and c.status == json.GOOD:
            two_sides.gather(&frame.sides, frame.message)

    cdef bint read_usual_row(self, json.Cursor *c, Frame *frame, Row *row, DecodeBuffer *out) noexcept nogil:
        """A row of the same symbol as the one before, as BitMEX writes it; False, with nothing done, if it is another.
        """
        cdef const char *p = c.at
        if frame.name is NULL or not follows(p, c.end, '{"symbol":"', 11):
            return False
        p += 11
        if not follows(p, c.end, frame.name, frame.name_length):
            return False
        p = usual_rest(p + frame.name_length, c.end, &frame.target, row)
        if p is NULL:
            return False
        c.at = p
        return True

    cdef bint read_row(self, json.Cursor *c, Frame *frame, Row *row, DecodeBuffer *out) noexcept nogil:
        """A row however it is spelt."""
        cdef fields.Fields noted
        cdef int32_t symbol = pair_books.FOREIGN
        if self.begin_usual_row(c, frame, out) and self.read_usual_row(c, frame, row, out):
            return True
        if c.status != json.GOOD or not note_row(c, &noted) or not self.read_symbol(c, &noted, &symbol):
            return False
        if symbol != frame.symbol:
            frame.name = NULL
        if not self.turn_to(c, frame, symbol, out):
            return False
        if symbol < 0:
            return True
        row.has_size = fields.has_value(&noted, SIZE)
        row.has_price = fields.has_value(&noted, PRICE)
        row.exchange_ns = 0
        if not fields.read_int64(c, &noted, ID, &row.id) or not read_side(c, &noted, &row.side):
            return False
        if row.has_size and not read_number(c, &noted, SIZE, frame.target.quantity_decimals, &row.size):
            return False
        if row.has_price and not read_number(c, &noted, PRICE, frame.target.price_decimals, &row.price):
            return False
        return not fields.has_value(&noted, TIME) or read_time(c, &noted, &row.exchange_ns)

    cdef bint begin_usual_row(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        """Look at the symbol with which a row usually begins; whether it is one of ours that differs from the last."""
        cdef const char *p = c.at + 11
        cdef const char *begin = p
        cdef int32_t symbol
        if not follows(c.at, c.end, '{"symbol":"', 11):
            return False
        while p < c.end and p - begin <= SYMBOL_SIZE and p[0] != b'"':
            p += 1
        if p == c.end or not 0 < p - begin <= SYMBOL_SIZE:
            return False
        if frame.name is not NULL and frame.name_length == p - begin and memcmp(begin, frame.name, p - begin) == 0:
            return False
        if not pair_books.find(c, &self.symbols, begin, <uint32_t>(p - begin), &symbol) or symbol < 0:
            return False
        frame.name = begin
        frame.name_length = <uint32_t>(p - begin)
        return self.turn_to(c, frame, symbol, out)

    cdef bint read_symbol(self, json.Cursor *c, const fields.Fields *row, int32_t *symbol) noexcept nogil:
        cdef json.Cursor field
        cdef json.Text text
        return (fields.read_text(c, row, SYMBOL, &field, &text)
                and pair_books.find(c, &self.symbols, text.data, text.length, symbol))

    cdef bint apply(self, json.Cursor *c, Frame *frame, const Row *row) noexcept nogil:
        """One row as a level of its message, and what it says about its id."""
        cdef level_ids.LevelIds *ids = &self.ids[frame.symbol]
        cdef level_ids.Slot *slot
        cdef uint64_t key
        cdef Level *level = two_sides.room(c, &frame.sides, row.side)
        if level is NULL:
            return False
        if not 0 <= row.id < <int64_t>1 << level_ids.LARGEST_ID_BITS:
            return json.fail(c, fixed.NUMBER_RANGE)
        if frame.action != DELETE and not row.has_size:
            return json.fail(c, json.BAD_FIELD)
        key = level_ids.key_of(row.id, row.side)
        level.quantity = 0 if frame.action == DELETE else row.size
        if row.has_price:
            level.price = row.price
        if frame.action == PARTIAL or frame.action == INSERT:
            if not row.has_price:
                return json.fail(c, json.BAD_FIELD)
            if not level_ids.put(ids, key, row.price):
                return json.fail(c, levels.TOO_MANY)
        elif frame.action == DELETE or not row.has_price:
            slot = level_ids.seek(ids, key)
            if not row.has_price:
                if slot.key == 0:
                    return json.fail(c, json.BAD_FIELD)
                level.price = slot.price
            if frame.action == DELETE and slot.key:
                level_ids.remove(ids, slot)
        if row.exchange_ns > frame.message.exchange_ns:
            frame.message.exchange_ns = row.exchange_ns
        two_sides.keep(&frame.sides, row.side)
        return True

    cdef bint read_trade(self, json.Cursor *c, Frame *frame, DecodeBuffer *out) noexcept nogil:
        cdef fields.Fields noted
        cdef Message *message
        cdef uint32_t side = Side.NO_SIDE
        if not note_row(c, &noted) or not self.read_symbol(c, &noted, &frame.symbol):
            return False
        if frame.symbol < 0:
            return True
        message = pair_books.add(c, out)
        if message is NULL or not read_side(c, &noted, &side):
            return False
        message.kind = MessageKind.TRADE
        message.listing = frame.symbol
        message.side = side
        return (read_number(c, &noted, PRICE, self.listings[frame.symbol].price_decimals, &message.price)
                and read_number(c, &noted, SIZE, self.listings[frame.symbol].quantity_decimals, &message.quantity)
                and read_time(c, &noted, &message.exchange_ns))

"""What Binance says about orders: answers to our requests, and execution reports of the user stream.

An answer to order.place is REPORT_NEW (it is often the first to bring the exchange's id) or a reject. A good answer to
order.cancel or order.amend.keepPriority is ignored: the execution report CANCELED or REPLACED comes on the same socket
behind the order's last fills, whereas the answer may overtake them. An answer that does not prove that nothing happened
is REPORT_IN_DOUBT: any 5xx, -1006 and -1007 ("execution status unknown"), -1000 and -1001 (an error inside Binance),
and "Duplicate order sent.", since our ids are never reused and the order they duplicate is then an earlier send of
ours. (Binance, "Errors", "WebSocket API, response format", "User data stream", spot API documentation.)
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport client_id, fixed, json
from orderflow._core.codec cimport SYMBOL_SIZE, DecodeBuffer, DecodeStatus, SymbolTable, find_symbol
from orderflow._core.codecs cimport assets, binance_requests, binance_times, fields, outbox
from orderflow._core.types cimport (
    ChildOrder,
    ExecType,
    ExecutionReport,
    Liquidity,
    Listing,
    Message,
    MessageKind,
    RateNotice,
    Reason,
    Side,
)

cdef enum:                      # fields of an answer
    ANSWER_ID = 0
    ANSWER_STATUS = 1
    ANSWER_RESULT = 2
    ANSWER_ERROR = 3
    ANSWER_EVENT = 4
    ANSWER_NAME = 5             # "e" of an event that came without its envelope
    ANSWER_LIMITS = 6

cdef enum:                      # fields of its result, and of its error
    RESULT_ORDER_ID = 0
    RESULT_TIME = 1
    ERROR_CODE = 0
    ERROR_TEXT = 1
    ERROR_DATA = 2
    ROW_TYPE = 0                # of one of its limits
    ROW_INTERVAL = 1
    ROW_INTERVALS = 2
    ROW_LIMIT = 3
    ROW_COUNT = 4

cdef enum:                      # fields of an event: letters from A, then the one that has two
    LETTER_A = 65
    EXPIRY_REASON = 63          # eR

cdef enum:
    MOST_COUNTED = 1_000_000_000


cdef struct Reports:
    const Listing *listings
    const SymbolTable *symbols
    const binance_requests.Requests *requests
    assets.Assets assets


cdef nogil:
    inline uint8_t reject_reason(const json.Text *text) noexcept:
        """Of -2010 and -2011, which share a code between many texts; and of the field `r`."""
        if (json.equal(text, "Account has insufficient balance for requested action.")
                or json.equal(text, "INSUFFICIENT_BALANCES") or json.equal(text, "INSUFFICIENT_BALANCE")):
            return Reason.INSUFFICIENT_FUNDS
        if json.equal(text, "Order would immediately match and take.") or json.equal(text, "WOULD_MATCH_IMMEDIATELY"):
            return Reason.POST_ONLY_WOULD_TAKE
        if json.equal(text, "Duplicate order sent.") or json.equal(text, "DUPLICATE_ORDER"):
            return Reason.DUPLICATE_ORDER
        if json.equal(text, "Unknown order sent.") or json.equal(text, "UNKNOWN_ORDER"):
            return Reason.UNKNOWN_ORDER
        if json.equal(text, "Market is closed.") or json.equal(text, "MARKET_CLOSED"):
            return Reason.LISTING_HALTED
        return Reason.EXCHANGE_OTHER

    inline uint8_t error_reason(int64_t code, int64_t status, const json.Text *text) noexcept:
        if code == -2010 or code == -2011:
            return reject_reason(text)
        if code == -1006 or code == -1007 or code == -1000 or code == -1001:
            return Reason.UNKNOWN_OUTCOME
        if code == -1003 or code == -1008 or code == -1015 or status == 418 or status == 429:
            return Reason.RATE_LIMITED
        if code == -1013 or code == -1111:
            return Reason.EXCHANGE_RULE
        if code == -1021:
            return Reason.CLOCK_SKEW
        if code == -1002 or code == -1022 or code == -2014 or code == -2015 or status == 401 or status == 403:
            return Reason.PERMISSION
        if code == -1121:
            return Reason.UNKNOWN_LISTING
        if code == -2013:
            return Reason.UNKNOWN_ORDER
        return Reason.UNKNOWN_OUTCOME if status >= 500 else Reason.EXCHANGE_OTHER

    inline bint concerns_session(uint8_t reason) noexcept:
        """Beyond the one order: the user must hear of it, or the clock is to be set."""
        return reason == Reason.RATE_LIMITED or reason == Reason.CLOCK_SKEW or reason == Reason.PERMISSION

    inline uint8_t rejection_of(char action) noexcept:
        if action == b"n":
            return ExecType.REPORT_REJECTED
        return ExecType.REPORT_REPLACE_REJECTED if action == b"a" else ExecType.REPORT_CANCEL_REJECTED

    inline void decode_error(json.Cursor *c, const fields.Fields *answer, char action, int64_t status,
                             ExecutionReport *report, DecodeBuffer *out) noexcept:
        cdef json.Cursor error, value
        cdef json.Text key, text
        cdef fields.Fields found
        cdef int64_t code = 0
        found.present = 0
        fields.enter(answer, ANSWER_ERROR, &error)
        json.enter_object(&error)
        while json.next_key(&error, &key):
            if json.equal(&key, "code"):
                fields.note(&error, &found, ERROR_CODE)
            elif json.equal(&key, "msg"):
                fields.note(&error, &found, ERROR_TEXT)
            elif json.equal(&key, "data"):
                fields.note(&error, &found, ERROR_DATA)
            else:
                json.skip_value(&error)
        if not (fields.settle(c, &error) and fields.read_int64(c, &found, ERROR_CODE, &code)
                and fields.read_text(c, &found, ERROR_TEXT, &value, &text)):
            return
        report.reason = error_reason(code, status, &text)
        if report.reason == Reason.UNKNOWN_OUTCOME or (report.reason == Reason.DUPLICATE_ORDER and action == b"n"):
            report.exec_type = ExecType.REPORT_IN_DOUBT
        else:
            report.exec_type = rejection_of(action)
        outbox.publish(c, out, report)
        if report.reason == Reason.RATE_LIMITED:
            tell_refused(c, code, retry_after(c, &found), out)
        if concerns_session(report.reason):
            outbox.add_message(c, out, MessageKind.SESSION, -1)

    inline int64_t retry_after(json.Cursor *c, const fields.Fields *error) noexcept:
        """When a refusal for the sake of a limit ends: unix nanoseconds, 0 if it does not say."""
        cdef json.Cursor data
        cdef json.Text key
        cdef int64_t until = 0
        if not fields.has(error, ERROR_DATA) or error.spans[ERROR_DATA].begin[0] != b"{":
            return 0
        fields.enter(error, ERROR_DATA, &data)
        json.enter_object(&data)
        while json.next_key(&data, &key):
            if json.equal(&key, "retryAfter"):
                json.read_int64(&data, &until)
            else:
                json.skip_value(&data)
        return binance_times.unix_ns(c, until) if fields.settle(c, &data) else 0

    inline void tell_refused(json.Cursor *c, int64_t code, int64_t until_ns, DecodeBuffer *out) noexcept:
        """Too many orders, or too much of everything; -1008 says that the exchange has too much to do itself."""
        cdef Message *message = outbox.add_message(c, out, MessageKind.RATES, -1)
        if message is not NULL:
            message.side = (RateNotice.ORDERS_REFUSED if code == -1015 or code == -1008
                            else RateNotice.EVERYTHING_REFUSED)
            message.exchange_ns = until_ns

    inline int64_t interval_ns(const json.Text *name) noexcept:
        if json.equal(name, "SECOND"):
            return 1_000_000_000
        if json.equal(name, "MINUTE"):
            return 60_000_000_000
        if json.equal(name, "HOUR"):
            return 3_600_000_000_000
        return 86_400_000_000_000 if json.equal(name, "DAY") else 0

    inline void decode_limit(json.Cursor *c, DecodeBuffer *out) noexcept:
        """One of `rateLimits`: what the exchange has counted. One that does not say it all says nothing."""
        cdef json.Cursor value
        cdef json.Text key, name
        cdef fields.Fields row
        cdef Message *message
        cdef int64_t intervals = 0
        cdef int64_t limit = 0
        cdef int64_t count = 0
        cdef uint8_t notice = RateNotice.WEIGHT_COUNTED
        row.present = 0
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "rateLimitType"):
                fields.note(c, &row, ROW_TYPE)
            elif json.equal(&key, "interval"):
                fields.note(c, &row, ROW_INTERVAL)
            elif json.equal(&key, "intervalNum"):
                fields.note(c, &row, ROW_INTERVALS)
            elif json.equal(&key, "limit"):
                fields.note(c, &row, ROW_LIMIT)
            elif json.equal(&key, "count"):
                fields.note(c, &row, ROW_COUNT)
            else:
                json.skip_value(c)
        if c.status != json.GOOD or row.present != (1 << (ROW_COUNT + 1)) - 1:
            return
        if is_text(c, &row, ROW_TYPE, "ORDERS"):
            notice = RateNotice.ORDERS_COUNTED
        elif not is_text(c, &row, ROW_TYPE, "REQUEST_WEIGHT"):
            return
        if not (fields.read_text(c, &row, ROW_INTERVAL, &value, &name)
                and fields.read_int64(c, &row, ROW_INTERVALS, &intervals)
                and fields.read_int64(c, &row, ROW_LIMIT, &limit) and fields.read_int64(c, &row, ROW_COUNT, &count)):
            return
        if not (0 < intervals <= 1000 and interval_ns(&name) and 0 <= count <= MOST_COUNTED):
            return
        message = outbox.add_message(c, out, MessageKind.RATES, -1)
        if message is not NULL:
            message.side = notice
            message.first_id = count
            message.last_id = limit
            message.previous_id = intervals * interval_ns(&name)

    inline void decode_limits(json.Cursor *c, const fields.Fields *answer, DecodeBuffer *out) noexcept:
        cdef json.Cursor rows
        if not fields.has(answer, ANSWER_LIMITS) or answer.spans[ANSWER_LIMITS].begin[0] != b"[":
            return
        fields.enter(answer, ANSWER_LIMITS, &rows)
        json.enter_array(&rows)
        while json.next_element(&rows):
            decode_limit(&rows, out)
        fields.settle(c, &rows)

    inline void decode_placed(json.Cursor *c, const fields.Fields *answer, ExecutionReport *report,
                              DecodeBuffer *out) noexcept:
        """A good answer to order.place."""
        cdef json.Cursor result
        cdef json.Text key
        cdef fields.Fields found
        cdef int64_t time = 0
        found.present = 0
        fields.enter(answer, ANSWER_RESULT, &result)
        json.enter_object(&result)
        while json.next_key(&result, &key):
            if json.equal(&key, "orderId"):
                fields.note(&result, &found, RESULT_ORDER_ID)
            elif json.equal(&key, "transactTime"):
                fields.note(&result, &found, RESULT_TIME)
            else:
                json.skip_value(&result)
        if not fields.settle(c, &result) or not read_order_id(c, &found, RESULT_ORDER_ID, report):
            return
        if fields.has(&found, RESULT_TIME):
            fields.read_int64(c, &found, RESULT_TIME, &time)
        report.exchange_ns = binance_times.unix_ns(c, time)
        report.exec_type = ExecType.REPORT_NEW
        outbox.publish(c, out, report)

    inline bint read_order_id(json.Cursor *c, const fields.Fields *found, uint32_t index,
                              ExecutionReport *report) noexcept:
        """An integer on the wire, kept as its digits."""
        cdef int64_t number = 0
        if not fields.read_int64(c, found, index, &number):
            return False
        if number < 0:
            return json.fail(c, DecodeStatus.BAD_FIELD)
        fixed.write_digits(<uint64_t>number, report.exchange_order_id)
        return True

    inline void decode_answer(json.Cursor *c, const Reports *reports, const fields.Fields *answer, int64_t receive_ns,
                              DecodeBuffer *out) noexcept:
        """Answers to the session's own requests, whose ids are not ours, go to the session."""
        cdef json.Cursor value
        cdef json.Text name
        cdef ChildOrder order
        cdef ExecutionReport *report
        cdef int64_t status = 0
        cdef char action = 0
        if (not fields.has(answer, ANSWER_ID) or answer.spans[ANSWER_ID].begin[0] != b'"'
                or not fields.has(answer, ANSWER_STATUS)):
            outbox.add_message(c, out, MessageKind.SESSION, -1)
            return
        if not (fields.read_text(c, answer, ANSWER_ID, &value, &name)
                and fields.read_int64(c, answer, ANSWER_STATUS, &status)):
            return
        if (not binance_requests.read_request_id(name.data, name.length, &order, &action)
                or binance_requests.row_of(reports.requests, &order) < 0):
            outbox.add_message(c, out, MessageKind.SESSION, -1)
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL:
            return
        report.client_order_id = order.client_order_id
        report.listing = order.listing
        report.slot = order.slot
        report.side = order.side
        if status == 200 and fields.has(answer, ANSWER_RESULT):
            if action == b"n":
                decode_placed(c, answer, report, out)
            else:
                outbox.add_message(c, out, MessageKind.IGNORED, <int32_t>order.listing)
        elif fields.has(answer, ANSWER_ERROR):
            decode_error(c, answer, action, status, report, out)
        else:                                           # neither proves anything
            report.exec_type = ExecType.REPORT_IN_DOUBT
            report.reason = Reason.UNKNOWN_OUTCOME
            outbox.publish(c, out, report)

    # Execution reports -----------------------------------------------------------------------------------------------

    inline void note_event(json.Cursor *c, fields.Fields *found) noexcept:
        """The fields of an event; names of one letter are their own index."""
        cdef json.Text key
        json.enter_object(c)
        while json.next_key(c, &key):
            if key.length == 1 and LETTER_A <= key.data[0] <= b"z":
                fields.note(c, found, <uint32_t>(key.data[0] - LETTER_A))
            elif json.equal(&key, "eR"):
                fields.note(c, found, EXPIRY_REASON)
            else:
                json.skip_value(c)

    inline uint32_t letter(char name) noexcept:
        return <uint32_t>(name - LETTER_A)

    inline bint is_text(json.Cursor *c, const fields.Fields *found, uint32_t index, const char *expected) noexcept:
        """Whether a field is given and is this text; a value of another type is just not it."""
        cdef json.Cursor value
        cdef json.Text text
        if not fields.has(found, index) or found.spans[index].begin[0] != b'"':
            return False
        return fields.read_text(c, found, index, &value, &text) and json.equal(&text, expected)

    inline uint64_t own_id(json.Cursor *c, const fields.Fields *found) noexcept:
        """A cancel has an id of its own in `c`; then `C` is the order's."""
        cdef json.Cursor value
        cdef json.Text text
        text.length = 0
        if fields.has_value(found, letter(b"C")):
            if not fields.read_text(c, found, letter(b"C"), &value, &text):
                return 0
        if text.length == 0 and fields.has_value(found, letter(b"c")):
            if not fields.read_text(c, found, letter(b"c"), &value, &text):
                return 0
        return client_id.read(text.data, text.length)

    inline void read_fill(json.Cursor *c, const Reports *reports, const fields.Fields *found, const Listing *listing,
                          ExecutionReport *report) noexcept:
        cdef json.Cursor value
        cdef json.Text text
        cdef int64_t trade_id = 0
        cdef bint maker = False
        fields.read_decimal(c, found, letter(b"L"), listing.price_decimals, &report.last_price)
        fields.read_decimal(c, found, letter(b"l"), listing.quantity_decimals, &report.last_quantity)
        fields.read_int64(c, found, letter(b"t"), &trade_id)
        if c.status == json.GOOD and (report.last_quantity <= 0 or trade_id < 0):
            json.fail(c, DecodeStatus.BAD_FIELD)
        report.trade_id = <uint64_t>trade_id
        if fields.has(found, letter(b"m")):
            fields.read_bool(c, found, letter(b"m"), &maker)
            report.liquidity = Liquidity.MAKER if maker else Liquidity.TAKER
        if fields.has_value(found, letter(b"n")):
            fields.read_exact(c, found, letter(b"n"), &report.fee, &report.fee_decimals)
            if fields.has_value(found, letter(b"N")) and fields.read_text(c, found, letter(b"N"), &value, &text):
                report.fee_asset = assets.find(&reports.assets, text.data, text.length)

    inline uint8_t type_of(json.Cursor *c, const fields.Fields *found, ExecutionReport *report) noexcept:
        """The ExecType, and the reason where the exchange gives one."""
        cdef json.Cursor value
        cdef json.Text text
        cdef bint prevented = is_text(c, found, letter(b"X"), "EXPIRED_IN_MATCH")
        if not fields.read_text(c, found, letter(b"x"), &value, &text):
            return ExecType.REPORT_STATUS
        if json.equal(&text, "TRADE"):
            return ExecType.REPORT_FILL
        if json.equal(&text, "NEW"):
            return ExecType.REPORT_NEW
        if json.equal(&text, "CANCELED"):
            return ExecType.REPORT_CANCELED
        if json.equal(&text, "EXPIRED") or prevented:
            if prevented:
                report.reason = Reason.SELF_TRADE
            elif is_text(c, found, EXPIRY_REASON, "INSUFFICIENT_LIQUIDITY"):
                report.reason = Reason.NO_LIQUIDITY
            return ExecType.REPORT_EXPIRED
        if json.equal(&text, "REJECTED"):
            report.reason = Reason.EXCHANGE_OTHER
            if fields.has_value(found, letter(b"r")) and fields.read_text(c, found, letter(b"r"), &value, &text):
                report.reason = reject_reason(&text)
            return ExecType.REPORT_REJECTED
        if json.equal(&text, "REPLACED"):
            return ExecType.REPORT_REPLACED
        # Of TRADE_PREVENTION less is left, but it lives; anything else is news to this codec.
        report.reason = Reason.SELF_TRADE if json.equal(&text, "TRADE_PREVENTION") else Reason.EXCHANGE_OTHER
        return ExecType.REPORT_STATUS

    inline void decode_execution(json.Cursor *c, const Reports *reports, const fields.Fields *found, int64_t receive_ns,
                                 DecodeBuffer *out) noexcept:
        cdef json.Cursor value
        cdef json.Text text
        cdef ExecutionReport *report = outbox.new_report(c, out, receive_ns)
        cdef const Listing *listing
        cdef int32_t index
        cdef int64_t time = 0
        if report is NULL or not fields.read_text(c, found, letter(b"s"), &value, &text):
            return
        if text.length > SYMBOL_SIZE:
            json.fail(c, DecodeStatus.BAD_SYMBOL)
            return
        index = find_symbol(reports.symbols, text.data, text.length)
        report.client_order_id = own_id(c, found)
        report.exec_type = type_of(c, found, report)
        if is_text(c, found, letter(b"S"), "BUY"):
            report.side = Side.BUY
        elif is_text(c, found, letter(b"S"), "SELL"):
            report.side = Side.SELL
        if fields.has(found, letter(b"i")):
            read_order_id(c, found, letter(b"i"), report)
        if fields.has(found, letter(b"T")):
            fields.read_int64(c, found, letter(b"T"), &time)
        elif fields.has(found, letter(b"E")):
            fields.read_int64(c, found, letter(b"E"), &time)
        report.exchange_ns = binance_times.unix_ns(c, time)
        if index >= 0:
            report.listing = <uint32_t>index
            out.fault_listing = index
            listing = &reports.listings[index]
            if fields.has(found, letter(b"z")):
                fields.read_decimal(c, found, letter(b"z"), listing.quantity_decimals, &report.cumulative_quantity)
            if report.exec_type == ExecType.REPORT_FILL:
                read_fill(c, reports, found, listing, report)
            elif report.exec_type == ExecType.REPORT_REPLACED:
                fields.read_decimal(c, found, letter(b"p"), listing.price_decimals, &report.last_price)
                fields.read_decimal(c, found, letter(b"q"), listing.quantity_decimals, &report.last_quantity)
        if c.status == json.GOOD:
            out.fault_listing = -1
            outbox.publish(c, out, report)

    inline void decode_event(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """Balances, list states, the end of the stream and whatever comes next year are for the session."""
        cdef fields.Fields found
        found.present = 0
        note_event(c, &found)
        if is_text(c, &found, letter(b"e"), "executionReport"):
            decode_execution(c, reports, &found, receive_ns, out)
        elif c.status == json.GOOD:
            outbox.add_message(c, out, MessageKind.SESSION, -1)

    inline int decode(const Reports *reports, const char *data, size_t size, int64_t receive_ns,
                      DecodeBuffer *out) noexcept:
        """One frame; an event in its envelope is read on the way, one without it from the beginning again."""
        cdef json.Cursor c
        cdef json.Text key
        cdef fields.Fields answer
        answer.present = 0
        outbox.begin(out)
        json.open(&c, data, size)
        json.enter_object(&c)
        while json.next_key(&c, &key):
            if json.equal(&key, "event"):
                if fields.has(&answer, ANSWER_EVENT):
                    json.fail(&c, json.BAD_JSON)
                answer.present |= <uint64_t>1 << ANSWER_EVENT
                decode_event(&c, reports, receive_ns, out)
            elif json.equal(&key, "id"):
                fields.note(&c, &answer, ANSWER_ID)
            elif json.equal(&key, "status"):
                fields.note(&c, &answer, ANSWER_STATUS)
            elif json.equal(&key, "result"):
                fields.note(&c, &answer, ANSWER_RESULT)
            elif json.equal(&key, "error"):
                fields.note(&c, &answer, ANSWER_ERROR)
            elif json.equal(&key, "rateLimits"):
                fields.note(&c, &answer, ANSWER_LIMITS)
            elif json.equal(&key, "e"):
                fields.note(&c, &answer, ANSWER_NAME)
            else:
                json.skip_value(&c)
        if not json.finish(&c) or fields.has(&answer, ANSWER_EVENT):
            return outbox.end(&c, out)
        if fields.has(&answer, ANSWER_NAME):
            json.open(&c, data, size)
            decode_event(&c, reports, receive_ns, out)
        elif answer.present:
            decode_answer(&c, reports, &answer, receive_ns, out)
            decode_limits(&c, &answer, out)
        else:
            json.fail(&c, DecodeStatus.UNKNOWN_MESSAGE)
        return outbox.end(&c, out)

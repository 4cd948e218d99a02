"""What Kraken says about orders: answers to add_order, amend_order and cancel_order, and the `executions` channel.

Rejects come only as answers. A good answer to add_order is REPORT_NEW; one to amend_order or cancel_order is ignored,
since `amended` or `canceled` follows on the channel behind the order's last trades. Errors that do not prove that
nothing happened (services unavailable, busy or failing inside, and any family of errors not listed here) are
REPORT_IN_DOUBT.

The channel names a field only where it matters, so client id, symbol and side of later lines come from open_orders.pxd.
The quantities decide, not the status: a trade that completes its order may still say partially_filled, and `filled`
follows on a line of its own, which is REPORT_STATUS here. A trade charged in several assets is one REPORT_FILL with the
first fee and a REPORT_STATUS with the same trade id for each further one.

A line may say where the account's rate counter of its pair stands, which is a RATES message.

`sequence` grows by one per message of the channel. A break is a SESSION message with has_chain set: first_id is the
number that was due, last_id the one that came; the reports of that message are good all the same. A snapshot starts the
count anew, forgets the open orders of before, and is followed by a SESSION message without has_chain; its reports carry
`reconciliation`. (Kraken, "Spot WebSocket v2: add_order, cancel_order, executions", and its table of errors.)
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, strlen

from orderflow._core cimport client_id, json, rfc3339
from orderflow._core.codec cimport NO_LISTING, SYMBOL_SIZE, DecodeBuffer, DecodeStatus, SymbolTable, find_symbol
from orderflow._core.codecs cimport assets, fields, kraken_requests, open_orders, outbox
from orderflow._core.types cimport (
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

cdef enum:                      # fields of a frame
    FRAME_METHOD = 0
    FRAME_CHANNEL = 1
    FRAME_TYPE = 2
    FRAME_DATA = 3
    FRAME_SEQUENCE = 4
    FRAME_REQUEST = 5
    FRAME_SUCCESS = 6
    FRAME_ERROR = 7
    FRAME_RESULT = 8
    FRAME_TIME = 9

cdef enum:                      # fields of a line of executions, and of the result of add_order
    LINE_ORDER = 0
    LINE_CLIENT = 1
    LINE_SYMBOL = 2
    LINE_TYPE = 3
    LINE_STATUS = 4
    LINE_SIDE = 5
    LINE_QUANTITY = 6
    LINE_PRICE = 7
    LINE_CUMULATIVE = 8
    LINE_TRADE = 9
    LINE_LIQUIDITY = 10
    LINE_TIME = 11
    LINE_FEES = 12
    LINE_REASON = 13
    LINE_WHOLE = 14
    LINE_LIMIT = 15
    LINE_POINTS = 16

cdef enum:                      # what a line says about the life of its order
    LIFE_NOTHING = 0
    LIFE_OPEN = 1
    LIFE_ENDED = 2

cdef enum:                      # fields of a fee
    FEE_ASSET = 0
    FEE_QUANTITY = 1


cdef struct Reports:
    const Listing *listings
    const SymbolTable *symbols
    const kraken_requests.Requests *requests
    assets.Assets assets
    const uint16_t *quote_assets    # by listing
    const SymbolTable *rest_symbols     # how REST spells pairs
    assets.Assets rest_assets       # and assets, by the same index
    open_orders.OpenOrders orders
    int64_t sequence            # of the last message of executions; 0 = none yet
    bint in_snapshot            # the last message was part of one


cdef nogil:
    inline bint begins(const json.Text *found, const char *literal) noexcept:
        cdef size_t length = strlen(literal)
        return found.length >= length and memcmp(found.data, literal, length) == 0

    inline uint8_t error_reason(const json.Text *error) noexcept:
        """UNKNOWN_OUTCOME for whatever does not prove that nothing was done."""
        if (json.equal(error, "EOrder:Rate limit exceeded") or json.equal(error, "EOrder:Domain rate limit exceeded")
                or json.equal(error, "EAPI:Rate limit exceeded") or json.equal(error, "EGeneral:Too many requests")):
            return Reason.RATE_LIMITED
        if json.equal(error, "EOrder:Insufficient funds") or json.equal(error, "EOrder:Insufficient margin"):
            return Reason.INSUFFICIENT_FUNDS
        if json.equal(error, "EOrder:Post only order"):
            return Reason.POST_ONLY_WOULD_TAKE
        if json.equal(error, "EOrder:Unknown order") or json.equal(error, "EOrder:Invalid order"):
            return Reason.UNKNOWN_ORDER
        if (json.equal(error, "EOrder:Order minimum not met") or json.equal(error, "EOrder:Cost minimum not met")
                or json.equal(error, "EOrder:Tick size check failed") or json.equal(error, "EOrder:Invalid price")
                or json.equal(error, "EOrder:Orders limit exceeded")
                or begins(error, "EGeneral:Invalid arguments")):
            return Reason.EXCHANGE_RULE
        if json.equal(error, "EService:Deadline elapsed"):
            return Reason.DEADLINE_PASSED
        if begins(error, "EService:Market in "):
            return Reason.LISTING_HALTED
        if (begins(error, "EAPI:Invalid ") or json.equal(error, "EGeneral:Permission denied")
                or json.equal(error, "EGeneral:Temporary lockout")):
            return Reason.PERMISSION
        return Reason.EXCHANGE_OTHER if begins(error, "EOrder:") else Reason.UNKNOWN_OUTCOME

    inline bint concerns_session(uint8_t reason) noexcept:
        """Beyond the one order: the session must slow down, log in again, or watch the exchange's state."""
        return reason == Reason.RATE_LIMITED or reason == Reason.PERMISSION or reason == Reason.LISTING_HALTED

    inline void note_line(json.Cursor *c, fields.Fields *found) noexcept:
        cdef json.Text key
        key.data = NULL
        key.length = 0
        found.present = 0
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "order_id"):
                fields.note(c, found, LINE_ORDER)
            elif json.equal(&key, "cl_ord_id"):
                fields.note(c, found, LINE_CLIENT)
            elif json.equal(&key, "symbol"):
                fields.note(c, found, LINE_SYMBOL)
            elif json.equal(&key, "exec_type"):
                fields.note(c, found, LINE_TYPE)
            elif json.equal(&key, "order_status"):
                fields.note(c, found, LINE_STATUS)
            elif json.equal(&key, "side"):
                fields.note(c, found, LINE_SIDE)
            elif json.equal(&key, "last_qty"):
                fields.note(c, found, LINE_QUANTITY)
            elif json.equal(&key, "last_price"):
                fields.note(c, found, LINE_PRICE)
            elif json.equal(&key, "cum_qty"):
                fields.note(c, found, LINE_CUMULATIVE)
            elif json.equal(&key, "trade_id"):
                fields.note(c, found, LINE_TRADE)
            elif json.equal(&key, "liquidity_ind"):
                fields.note(c, found, LINE_LIQUIDITY)
            elif json.equal(&key, "timestamp"):
                fields.note(c, found, LINE_TIME)
            elif json.equal(&key, "fees"):
                fields.note(c, found, LINE_FEES)
            elif json.equal(&key, "reason"):
                fields.note(c, found, LINE_REASON)
            elif json.equal(&key, "order_qty"):
                fields.note(c, found, LINE_WHOLE)
            elif json.equal(&key, "limit_price"):
                fields.note(c, found, LINE_LIMIT)
            elif json.equal(&key, "ratecount"):
                fields.note(c, found, LINE_POINTS)
            else:
                json.skip_value(c)

    inline bint read_time(json.Cursor *c, const fields.Fields *found, uint32_t index, int64_t *unix_ns) noexcept:
        cdef json.Cursor value
        cdef json.Text stamp
        if not fields.has(found, index):
            return True
        if not fields.read_text(c, found, index, &value, &stamp):
            return False
        return rfc3339.parse(&stamp, unix_ns) or json.fail(c, DecodeStatus.BAD_FIELD)

    # Answers ---------------------------------------------------------------------------------------------------------

    inline void decode_placed(json.Cursor *c, Reports *reports, const fields.Fields *frame, ExecutionReport *report,
                              DecodeBuffer *out) noexcept:
        cdef json.Cursor result, value
        cdef json.Text name
        cdef fields.Fields found
        cdef uint64_t named = 0
        fields.enter(frame, FRAME_RESULT, &result)
        note_line(&result, &found)
        if not fields.settle(c, &result):
            return
        if fields.has_value(&found, LINE_CLIENT) and fields.read_text(c, &found, LINE_CLIENT, &value, &name):
            named = client_id.read(name.data, name.length)
            if named:
                report.client_order_id = named
        if not (fields.read_text(c, &found, LINE_ORDER, &value, &name) and outbox.copy_identity(c, report, &name)):
            return
        open_orders.remember(&reports.orders, name.data, name.length, report.client_order_id, NO_LISTING, Side.NO_SIDE)
        report.exec_type = ExecType.REPORT_NEW
        outbox.publish(c, out, report)

    inline uint8_t rejection_of(const json.Text *method) noexcept:
        """ExecType of the refusal of a request about an order; 0 if the method is another."""
        if json.equal(method, "add_order"):
            return ExecType.REPORT_REJECTED
        if json.equal(method, "amend_order"):
            return ExecType.REPORT_REPLACE_REJECTED
        return ExecType.REPORT_CANCEL_REJECTED if json.equal(method, "cancel_order") else 0

    inline void decode_error(json.Cursor *c, const fields.Fields *frame, uint8_t rejection, ExecutionReport *report,
                             DecodeBuffer *out) noexcept:
        cdef json.Cursor value
        cdef json.Text error
        if not fields.read_text(c, frame, FRAME_ERROR, &value, &error):
            return
        report.reason = error_reason(&error)
        report.exec_type = ExecType.REPORT_IN_DOUBT if report.reason == Reason.UNKNOWN_OUTCOME else rejection
        outbox.publish(c, out, report)
        if concerns_session(report.reason):
            outbox.add_message(c, out, MessageKind.SESSION, -1)

    inline void decode_answer(json.Cursor *c, Reports *reports, const fields.Fields *frame, int64_t receive_ns,
                              DecodeBuffer *out) noexcept:
        """Answers to the session's own requests, pongs among them, and those without a request id are for it."""
        cdef json.Cursor value
        cdef json.Text method
        cdef ExecutionReport *report
        cdef int64_t number = 0
        cdef uint8_t rejection
        cdef bint success = False
        if not fields.read_text(c, frame, FRAME_METHOD, &value, &method):
            return
        rejection = rejection_of(&method)
        if not (rejection and fields.has_value(frame, FRAME_REQUEST)
                and fields.has(frame, FRAME_SUCCESS)):
            outbox.add_message(c, out, MessageKind.SESSION, -1)
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL or not (fields.read_int64(c, frame, FRAME_REQUEST, &number)
                                  and fields.read_bool(c, frame, FRAME_SUCCESS, &success)
                                  and read_time(c, frame, FRAME_TIME, &report.exchange_ns)):
            return
        report.client_order_id = kraken_requests.read_request_id(reports.requests, <uint64_t>number)
        if not success:
            decode_error(c, frame, rejection, report, out)
        elif rejection != ExecType.REPORT_REJECTED:
            outbox.add_message(c, out, MessageKind.IGNORED, -1)
        else:
            decode_placed(c, reports, frame, report, out)

    # Executions ------------------------------------------------------------------------------------------------------

    inline bint is_text(json.Cursor *c, const fields.Fields *found, uint32_t index, const char *expected) noexcept:
        """Whether a field is given and is this text; a value of another type is just not it."""
        cdef json.Cursor value
        cdef json.Text name
        if not fields.has(found, index) or found.spans[index].begin[0] != b'"':
            return False
        return fields.read_text(c, found, index, &value, &name) and json.equal(&name, expected)

    inline uint8_t type_of(json.Cursor *c, const fields.Fields *found, bint snapshot) noexcept:
        """The ExecType of a line; what an order of a snapshot is doing is a statement, not an event."""
        if is_text(c, found, LINE_TYPE, "trade"):
            return ExecType.REPORT_FILL
        if is_text(c, found, LINE_TYPE, "canceled") or is_text(c, found, LINE_STATUS, "canceled"):
            return ExecType.REPORT_CANCELED
        if is_text(c, found, LINE_TYPE, "expired") or is_text(c, found, LINE_STATUS, "expired"):
            return ExecType.REPORT_EXPIRED
        if is_text(c, found, LINE_TYPE, "new") and not snapshot:
            return ExecType.REPORT_NEW
        if is_text(c, found, LINE_TYPE, "amended") and not snapshot:
            return ExecType.REPORT_REPLACED
        return ExecType.REPORT_STATUS

    inline uint8_t end_reason(json.Cursor *c, const fields.Fields *found) noexcept:
        """Why an order was cancelled or expired, as far as the text is known."""
        if not fields.has_value(found, LINE_REASON) or is_text(c, found, LINE_REASON, "User requested"):
            return Reason.OK
        if is_text(c, found, LINE_REASON, "Post only order"):
            return Reason.POST_ONLY_WOULD_TAKE
        return Reason.EXCHANGE_OTHER

    inline int life_of(json.Cursor *c, const fields.Fields *found, bint snapshot, uint8_t exec_type) noexcept:
        """Whether the order is open after this line. A trade may complete it, but `filled` follows; a trade in a
        snapshot is one of the past, and its order is listed if it is open."""
        if exec_type == ExecType.REPORT_FILL:
            return LIFE_NOTHING if snapshot else LIFE_OPEN
        if (exec_type == ExecType.REPORT_CANCELED or exec_type == ExecType.REPORT_EXPIRED
                or is_text(c, found, LINE_TYPE, "filled") or is_text(c, found, LINE_STATUS, "filled")):
            return LIFE_ENDED
        return LIFE_OPEN

    inline void identify(json.Cursor *c, Reports *reports, const fields.Fields *found, int life,
                         ExecutionReport *report) noexcept:
        """Client id, listing and side, from the line or from what earlier lines said of the order."""
        cdef json.Cursor value
        cdef json.Text name
        cdef const open_orders.OpenOrder *known
        cdef int32_t listing
        if fields.has_value(found, LINE_CLIENT) and fields.read_text(c, found, LINE_CLIENT, &value, &name):
            report.client_order_id = client_id.read(name.data, name.length)
        if fields.has_value(found, LINE_SYMBOL) and fields.read_text(c, found, LINE_SYMBOL, &value, &name):
            if name.length > SYMBOL_SIZE:
                json.fail(c, DecodeStatus.BAD_SYMBOL)
                return
            listing = find_symbol(reports.symbols, name.data, name.length)
            report.listing = NO_LISTING if listing < 0 else <uint32_t>listing
        if is_text(c, found, LINE_SIDE, "buy"):
            report.side = Side.BUY
        elif is_text(c, found, LINE_SIDE, "sell"):
            report.side = Side.SELL
        if not (fields.read_text(c, found, LINE_ORDER, &value, &name) and outbox.copy_identity(c, report, &name)):
            return
        known = open_orders.find(&reports.orders, name.data, name.length)
        if known is not NULL:
            if report.client_order_id == 0:
                report.client_order_id = known.client_order_id
            if report.listing == NO_LISTING:
                report.listing = known.listing
            if report.side == Side.NO_SIDE:
                report.side = known.side
        if life == LIFE_OPEN:
            open_orders.remember(&reports.orders, name.data, name.length, report.client_order_id, report.listing,
                                 report.side)
        elif life == LIFE_ENDED:
            open_orders.end(&reports.orders, name.data, name.length, report.client_order_id, report.listing,
                            report.side)

    inline void read_fee(json.Cursor *c, json.Cursor *list, const Reports *reports, ExecutionReport *report) noexcept:
        cdef json.Cursor value
        cdef json.Text key
        cdef fields.Fields found
        found.present = 0
        json.enter_object(list)
        while json.next_key(list, &key):
            if json.equal(&key, "asset"):
                fields.note(list, &found, FEE_ASSET)
            elif json.equal(&key, "qty"):
                fields.note(list, &found, FEE_QUANTITY)
            else:
                json.skip_value(list)
        if not fields.settle(c, list):
            return
        fields.read_exact(c, &found, FEE_QUANTITY, &report.fee, &report.fee_decimals)
        if fields.read_text(c, &found, FEE_ASSET, &value, &key):
            report.fee_asset = assets.find(&reports.assets, key.data, key.length)

    inline void publish_fill(json.Cursor *c, const Reports *reports, const fields.Fields *found,
                             ExecutionReport *report, DecodeBuffer *out) noexcept:
        """The fill with its first fee, then a statement for each further fee."""
        cdef json.Cursor list
        cdef ExecutionReport *further
        cdef bint first = True
        if fields.has_value(found, LINE_FEES):
            fields.enter(found, LINE_FEES, &list)
            json.enter_array(&list)
            while json.next_element(&list):
                if first:
                    read_fee(c, &list, reports, report)
                    outbox.publish(c, out, report)
                    first = False
                    continue
                further = outbox.new_report(c, out, report.receive_ns)
                if further is NULL:
                    return
                further[0] = report[0]
                further.exec_type = ExecType.REPORT_STATUS
                further.last_price = 0
                further.last_quantity = 0
                read_fee(c, &list, reports, further)
                outbox.publish(c, out, further)
            fields.settle(c, &list)
        if first:
            outbox.publish(c, out, report)

    inline void read_fill(json.Cursor *c, const Reports *reports, const fields.Fields *found,
                          ExecutionReport *report) noexcept:
        cdef const Listing *listing
        cdef int64_t trade_id = 0
        if is_text(c, found, LINE_LIQUIDITY, "m"):
            report.liquidity = Liquidity.MAKER
        elif is_text(c, found, LINE_LIQUIDITY, "t"):
            report.liquidity = Liquidity.TAKER
        if fields.has(found, LINE_TRADE):
            fields.read_int64(c, found, LINE_TRADE, &trade_id)
        report.trade_id = <uint64_t>trade_id
        if report.listing == NO_LISTING:
            if report.client_order_id or not fields.has(found, LINE_SYMBOL):
                json.fail(c, DecodeStatus.BAD_FIELD)    # a fill that may be ours, and nobody can say of what
            return
        listing = &reports.listings[report.listing]
        fields.read_decimal(c, found, LINE_PRICE, listing.price_decimals, &report.last_price)
        fields.read_decimal(c, found, LINE_QUANTITY, listing.quantity_decimals, &report.last_quantity)
        if c.status == json.GOOD and (report.last_quantity <= 0 or trade_id <= 0):
            json.fail(c, DecodeStatus.BAD_FIELD)

    inline void read_whole(json.Cursor *c, const Reports *reports, const fields.Fields *found,
                           ExecutionReport *report) noexcept:
        """Price and whole quantity that the order has now, where the line says so."""
        cdef const Listing *listing
        if report.listing == NO_LISTING:
            return
        listing = &reports.listings[report.listing]
        if fields.has_value(found, LINE_WHOLE):
            fields.read_decimal(c, found, LINE_WHOLE, listing.quantity_decimals, &report.last_quantity)
        if fields.has_value(found, LINE_LIMIT):
            fields.read_decimal(c, found, LINE_LIMIT, listing.price_decimals, &report.last_price)

    inline void tell_points(json.Cursor *c, const fields.Fields *found, uint32_t listing,
                            DecodeBuffer *out) noexcept:
        """Where the account's counter of that listing stands (`ratecounter`); whole numbers."""
        cdef Message *message
        cdef int64_t points = 0
        cdef uint8_t decimals = 0
        if not fields.read_exact(c, found, LINE_POINTS, &points, &decimals) or decimals or not 0 <= points <= 1_000_000:
            return
        message = outbox.add_message(c, out, MessageKind.RATES, <int32_t>listing)
        if message is not NULL:
            message.side = RateNotice.POINTS_COUNTED
            message.first_id = points

    inline void decode_line(json.Cursor *c, Reports *reports, bint snapshot, int64_t receive_ns,
                            DecodeBuffer *out) noexcept:
        cdef fields.Fields found
        cdef ExecutionReport *report
        note_line(c, &found)
        if c.status != json.GOOD:
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL:
            return
        report.exec_type = type_of(c, &found, snapshot)
        report.reconciliation = snapshot
        identify(c, reports, &found, life_of(c, &found, snapshot, report.exec_type), report)
        read_time(c, &found, LINE_TIME, &report.exchange_ns)
        if report.listing != NO_LISTING:
            out.fault_listing = <int32_t>report.listing
            if fields.has_value(&found, LINE_CUMULATIVE):
                fields.read_decimal(c, &found, LINE_CUMULATIVE, reports.listings[report.listing].quantity_decimals,
                                    &report.cumulative_quantity)
        if report.exec_type == ExecType.REPORT_FILL:
            read_fill(c, reports, &found, report)
            publish_fill(c, reports, &found, report, out)
        else:
            if report.exec_type == ExecType.REPORT_CANCELED or report.exec_type == ExecType.REPORT_EXPIRED:
                report.reason = end_reason(c, &found)
            elif report.exec_type == ExecType.REPORT_REPLACED or report.reconciliation:
                read_whole(c, reports, &found, report)
            outbox.publish(c, out, report)
        if report.listing != NO_LISTING and not snapshot and fields.has_value(&found, LINE_POINTS):
            tell_points(c, &found, report.listing, out)
        if c.status == json.GOOD:
            out.fault_listing = -1

    inline void decode_executions(json.Cursor *c, Reports *reports, const fields.Fields *frame, int64_t receive_ns,
                                  DecodeBuffer *out) noexcept:
        cdef json.Cursor lines
        cdef Message *message
        cdef bint snapshot = is_text(c, frame, FRAME_TYPE, "snapshot")
        cdef int64_t sequence = 0
        if not snapshot and not is_text(c, frame, FRAME_TYPE, "update"):
            json.fail(c, DecodeStatus.BAD_FIELD)
        fields.read_int64(c, frame, FRAME_SEQUENCE, &sequence)
        if c.status == json.GOOD and snapshot and not (reports.in_snapshot and sequence == reports.sequence + 1):
            open_orders.clear(&reports.orders)
        fields.enter(frame, FRAME_DATA, &lines)
        json.enter_array(&lines)
        while json.next_element(&lines):
            decode_line(&lines, reports, snapshot, receive_ns, out)
        if not fields.settle(c, &lines):
            return
        if snapshot:
            outbox.add_message(c, out, MessageKind.SESSION, -1)
        elif reports.sequence and sequence != reports.sequence + 1:
            message = outbox.add_message(c, out, MessageKind.SESSION, -1)
            if message is not NULL:
                message.has_chain = 1
                message.first_id = reports.sequence + 1
                message.last_id = sequence
        if c.status == json.GOOD:                       # else the next message shows a gap, as it should
            reports.sequence = sequence
            reports.in_snapshot = snapshot

    inline int decode(Reports *reports, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """One frame."""
        cdef json.Cursor c
        cdef json.Text key
        cdef fields.Fields frame
        frame.present = 0
        key.data = data
        key.length = 0
        outbox.begin(out)
        json.open(&c, data, size)
        json.enter_object(&c)
        while json.next_key(&c, &key):
            if json.equal(&key, "method"):
                fields.note(&c, &frame, FRAME_METHOD)
            elif json.equal(&key, "channel"):
                fields.note(&c, &frame, FRAME_CHANNEL)
            elif json.equal(&key, "type"):
                fields.note(&c, &frame, FRAME_TYPE)
            elif json.equal(&key, "data"):
                fields.note(&c, &frame, FRAME_DATA)
            elif json.equal(&key, "sequence"):
                fields.note(&c, &frame, FRAME_SEQUENCE)
            elif json.equal(&key, "req_id"):
                fields.note(&c, &frame, FRAME_REQUEST)
            elif json.equal(&key, "success"):
                fields.note(&c, &frame, FRAME_SUCCESS)
            elif json.equal(&key, "error"):
                fields.note(&c, &frame, FRAME_ERROR)
            elif json.equal(&key, "result"):
                fields.note(&c, &frame, FRAME_RESULT)
            elif json.equal(&key, "time_out"):
                fields.note(&c, &frame, FRAME_TIME)
            else:
                json.skip_value(&c)
        if json.finish(&c):
            if fields.has(&frame, FRAME_METHOD):
                decode_answer(&c, reports, &frame, receive_ns, out)
            elif is_text(&c, &frame, FRAME_CHANNEL, "executions"):
                decode_executions(&c, reports, &frame, receive_ns, out)
            elif is_text(&c, &frame, FRAME_CHANNEL, "heartbeat"):
                outbox.add_message(&c, out, MessageKind.IGNORED, -1)
            elif fields.has(&frame, FRAME_CHANNEL) or fields.has(&frame, FRAME_ERROR):
                outbox.add_message(&c, out, MessageKind.SESSION, -1)    # balances, status, a refused request
            else:
                json.fail(&c, DecodeStatus.UNKNOWN_MESSAGE)
        return outbox.end(&c, out)

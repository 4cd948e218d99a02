"""What Kraken's REST answers say of an order: OpenOrders and ClosedOrders, and QueryTrades.

An order's state becomes the report that its end would have been, with the executed quantity as the stated one; of an
order that lives, and of a filled one ("closed"), REPORT_STATUS: what was filled, and at what price, only its trades
tell. Only the order that was asked for is read. The fee of a trade is in the quote currency here, whatever it was paid
in; executions name the asset, and where both tell of a trade the first is kept. (Kraken, "Spot REST": get open orders,
get closed orders, query trades info.)
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t

from orderflow._core cimport client_id, json
from orderflow._core.codec cimport DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport fields, outbox
from orderflow._core.codecs.kraken_reports cimport Reports
from orderflow._core.types cimport BodyKind, ChildOrder, ExecType, ExecutionReport, Liquidity, Listing, Reason, Side

cdef enum:
    BODY_CLIENT = 0
    BODY_STATUS = 1
    BODY_EXECUTED = 2
    BODY_DESCRIPTION = 3
    BODY_REASON = 4
    BODY_ORDER = 5
    BODY_TYPE = 6
    BODY_PRICE = 7
    BODY_QUANTITY = 8
    BODY_FEE = 9
    BODY_TRADE = 10
    BODY_MAKER = 11
    BODY_PAIR = 12
    BODY_TIME = 13
    NANOSECONDS = 9             # decimals of a second


cdef nogil:
    inline void note_entry(json.Cursor *c, fields.Fields *found) noexcept:
        cdef json.Text key
        found.present = 0
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "cl_ord_id"):
                fields.note(c, found, BODY_CLIENT)
            elif json.equal(&key, "status"):
                fields.note(c, found, BODY_STATUS)
            elif json.equal(&key, "vol_exec"):
                fields.note(c, found, BODY_EXECUTED)
            elif json.equal(&key, "descr"):
                fields.note(c, found, BODY_DESCRIPTION)
            elif json.equal(&key, "reason"):
                fields.note(c, found, BODY_REASON)
            elif json.equal(&key, "ordertxid"):
                fields.note(c, found, BODY_ORDER)
            elif json.equal(&key, "type"):
                fields.note(c, found, BODY_TYPE)
            elif json.equal(&key, "price"):
                fields.note(c, found, BODY_PRICE)
            elif json.equal(&key, "vol"):
                fields.note(c, found, BODY_QUANTITY)
            elif json.equal(&key, "fee"):
                fields.note(c, found, BODY_FEE)
            elif json.equal(&key, "trade_id"):
                fields.note(c, found, BODY_TRADE)
            elif json.equal(&key, "maker"):
                fields.note(c, found, BODY_MAKER)
            elif json.equal(&key, "pair"):
                fields.note(c, found, BODY_PAIR)
            elif json.equal(&key, "time"):
                fields.note(c, found, BODY_TIME)
            else:
                json.skip_value(c)

    inline uint64_t named(json.Cursor *c, const fields.Fields *found) noexcept:
        """Our id of an order, 0 = it is not ours."""
        cdef json.Cursor value
        cdef json.Text text
        if not fields.has_value(found, BODY_CLIENT) or not fields.read_text(c, found, BODY_CLIENT, &value, &text):
            return 0
        return client_id.read(text.data, text.length)

    inline uint8_t side_of(json.Cursor *c, const fields.Fields *found) noexcept:
        cdef json.Cursor value
        cdef json.Text text
        if not fields.read_text(c, found, BODY_TYPE, &value, &text):
            return Side.NO_SIDE
        if json.equal(&text, "buy"):
            return Side.BUY
        if not json.equal(&text, "sell"):
            json.fail(c, DecodeStatus.BAD_FIELD)
        return Side.SELL

    inline uint8_t type_of(json.Cursor *c, const fields.Fields *found, uint8_t decimals, int64_t executed) noexcept:
        """The quantities decide: what is closed with less than its volume executed has ended without the rest."""
        cdef json.Cursor value
        cdef int64_t volume = 0
        cdef json.Text text
        if not fields.read_text(c, found, BODY_STATUS, &value, &text):
            return 0
        if json.equal(&text, "canceled"):
            return ExecType.REPORT_CANCELED
        if json.equal(&text, "expired"):
            return ExecType.REPORT_EXPIRED
        if json.equal(&text, "closed"):
            fields.read_decimal(c, found, BODY_QUANTITY, decimals, &volume)
            return ExecType.REPORT_CANCELED if executed < volume else ExecType.REPORT_STATUS
        if json.equal(&text, "pending") or json.equal(&text, "open"):
            return ExecType.REPORT_STATUS
        json.fail(c, DecodeStatus.BAD_FIELD)        # nothing may be concluded from a word that is not known
        return 0

    inline void decode_order(json.Cursor *c, const Reports *reports, const json.Text *name, const ChildOrder *order,
                             int64_t receive_ns, DecodeBuffer *out) noexcept:
        """One order, whose own name is the key that it stands under, if it is the one that was asked for."""
        cdef fields.Fields found, description
        cdef json.Cursor inner
        cdef ExecutionReport *report
        note_entry(c, &found)
        if c.status != json.GOOD or named(c, &found) != order.client_order_id:
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL or not outbox.copy_identity(c, report, name):
            return
        report.client_order_id = order.client_order_id
        report.listing = order.listing
        fields.read_decimal(c, &found, BODY_EXECUTED, reports.listings[order.listing].quantity_decimals,
                            &report.cumulative_quantity)
        report.exec_type = type_of(c, &found, reports.listings[order.listing].quantity_decimals,
                                   report.cumulative_quantity)
        fields.enter(&found, BODY_DESCRIPTION, &inner)
        note_entry(&inner, &description)
        report.side = side_of(&inner, &description)
        if report.exec_type == ExecType.REPORT_STATUS and fields.has_value(&found, BODY_QUANTITY):
            fields.read_decimal(c, &found, BODY_QUANTITY, reports.listings[order.listing].quantity_decimals,
                                &report.last_quantity)
            fields.read_decimal(&inner, &description, BODY_PRICE, reports.listings[order.listing].price_decimals,
                                &report.last_price)
        if report.exec_type == ExecType.REPORT_CANCELED or report.exec_type == ExecType.REPORT_EXPIRED:
            report.reason = Reason.EXCHANGE_OTHER if fields.has_value(&found, BODY_REASON) else Reason.OK
        if fields.settle(c, &inner):
            outbox.publish(c, out, report)

    inline void decode_trade(json.Cursor *c, const Reports *reports, const ChildOrder *order, int64_t receive_ns,
                             DecodeBuffer *out) noexcept:
        """One trade of the order that was asked for: its trades were asked for by their names."""
        cdef fields.Fields found
        cdef ExecutionReport *report
        note_entry(c, &found)
        if c.status != json.GOOD:
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL:
            return
        report.client_order_id = order.client_order_id
        report.listing = order.listing
        read_trade(c, reports, &found, report, out)

    inline void read_time(json.Cursor *c, const fields.Fields *found, ExecutionReport *report) noexcept:
        """Seconds since 1970, with as many decimals as are written."""
        cdef int64_t seconds = 0
        cdef uint8_t decimals = 0
        if not fields.has_value(found, BODY_TIME) or not fields.read_exact(c, found, BODY_TIME, &seconds, &decimals):
            return
        while decimals < NANOSECONDS:
            seconds *= 10
            decimals += 1
        while decimals > NANOSECONDS:
            seconds //= 10
            decimals -= 1
        report.exchange_ns = seconds

    inline void read_trade(json.Cursor *c, const Reports *reports, const fields.Fields *found, ExecutionReport *report,
                           DecodeBuffer *out) noexcept:
        """What a trade says, into a report that names its listing."""
        cdef const Listing *listing = &reports.listings[report.listing]
        cdef json.Cursor value
        cdef json.Text text
        cdef int64_t trade_id = 0
        cdef bint makes = False
        if not fields.read_text(c, found, BODY_ORDER, &value, &text) or not outbox.copy_identity(c, report, &text):
            return
        report.exec_type = ExecType.REPORT_FILL
        report.side = side_of(c, found)
        fields.read_int64(c, found, BODY_TRADE, &trade_id)
        fields.read_decimal(c, found, BODY_PRICE, listing.price_decimals, &report.last_price)
        fields.read_decimal(c, found, BODY_QUANTITY, listing.quantity_decimals, &report.last_quantity)
        fields.read_exact(c, found, BODY_FEE, &report.fee, &report.fee_decimals)
        report.fee_asset = reports.quote_assets[report.listing]
        read_time(c, found, report)
        if fields.has_value(found, BODY_MAKER):
            fields.read_bool(c, found, BODY_MAKER, &makes)
            report.liquidity = Liquidity.MAKER if makes else Liquidity.TAKER
        if c.status == json.GOOD and (report.last_quantity <= 0 or trade_id <= 0):
            json.fail(c, DecodeStatus.BAD_FIELD)
        report.trade_id = <uint64_t>trade_id
        if c.status == json.GOOD:
            outbox.publish(c, out, report)

    inline void decode_entries(json.Cursor *c, const Reports *reports, int kind, const ChildOrder *order,
                               int64_t receive_ns, DecodeBuffer *out) noexcept:
        """An object of orders or trades by their names."""
        cdef json.Text name
        json.enter_object(c)
        while json.next_key(c, &name):
            if kind == BodyKind.ORDER_TRADES:
                decode_trade(c, reports, order, receive_ns, out)
            else:
                decode_order(c, reports, &name, order, receive_ns, out)

    inline void decode_result(json.Cursor *c, const Reports *reports, int kind, const ChildOrder *order,
                              int64_t receive_ns, DecodeBuffer *out) noexcept:
        """Trades stand in it by themselves, orders one level deeper."""
        cdef json.Text key
        if kind == BodyKind.ORDER_TRADES:
            decode_entries(c, reports, kind, order, receive_ns, out)
            return
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "open") or json.equal(&key, "closed"):
                decode_entries(c, reports, kind, order, receive_ns, out)
            else:
                json.skip_value(c)

    inline int decode(const Reports *reports, int kind, const ChildOrder *order, const char *data, size_t size,
                      int64_t receive_ns, DecodeBuffer *out) noexcept:
        """One body. Without a result it is not understood."""
        cdef json.Cursor c
        cdef json.Text key
        cdef bint has_result = False
        outbox.begin(out)
        json.open(&c, data, size)
        json.enter_object(&c)
        while json.next_key(&c, &key):
            if json.equal(&key, "result"):
                has_result = True
                decode_result(&c, reports, kind, order, receive_ns, out)
            else:
                json.skip_value(&c)
        if json.finish(&c) and not has_result:
            json.fail(&c, DecodeStatus.UNKNOWN_MESSAGE)
        return outbox.end(&c, out)

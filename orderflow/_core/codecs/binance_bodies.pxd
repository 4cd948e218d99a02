"""What Binance's REST answers say of an order: /order, /openOrders and /allOrders, /myTrades.

An order's state becomes the report that its end would have been, with the executed quantity as the stated one; of an
order that lives, and of a filled one, REPORT_STATUS: what was filled, and at what price, only its trades tell. In a
list only the order that was asked for is read. A body that says something else is not understood, so that nothing is
concluded from it; that there is no such order (-2013) never comes here. (Binance, "Spot REST API": query order, current
open orders, all orders, account trade list.)
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport client_id, json
from orderflow._core.codec cimport DecodeBuffer, DecodeStatus
from orderflow._core.codecs cimport assets, binance_reports, binance_times, fields, outbox
from orderflow._core.codecs.binance_reports cimport Reports
from orderflow._core.types cimport BodyKind, ChildOrder, ExecType, ExecutionReport, Liquidity, Listing, Reason, Side

cdef enum:
    BODY_ORDER = 0
    BODY_CLIENT = 1
    BODY_EXECUTED = 2
    BODY_STATUS = 3
    BODY_SIDE = 4
    BODY_UPDATED = 5
    BODY_TRADE = 6
    BODY_PRICE = 7
    BODY_QUANTITY = 8
    BODY_FEE = 9
    BODY_FEE_ASSET = 10
    BODY_IS_BUYER = 11
    BODY_IS_MAKER = 12
    BODY_TIME = 13
    BODY_SYMBOL = 14


cdef nogil:
    inline void note_entry(json.Cursor *c, fields.Fields *found) noexcept:
        cdef json.Text key
        found.present = 0
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "orderId"):
                fields.note(c, found, BODY_ORDER)
            elif json.equal(&key, "clientOrderId"):
                fields.note(c, found, BODY_CLIENT)
            elif json.equal(&key, "executedQty"):
                fields.note(c, found, BODY_EXECUTED)
            elif json.equal(&key, "status"):
                fields.note(c, found, BODY_STATUS)
            elif json.equal(&key, "side"):
                fields.note(c, found, BODY_SIDE)
            elif json.equal(&key, "updateTime"):
                fields.note(c, found, BODY_UPDATED)
            elif json.equal(&key, "id"):
                fields.note(c, found, BODY_TRADE)
            elif json.equal(&key, "price"):
                fields.note(c, found, BODY_PRICE)
            elif json.equal(&key, "qty") or json.equal(&key, "origQty"):
                fields.note(c, found, BODY_QUANTITY)
            elif json.equal(&key, "commission"):
                fields.note(c, found, BODY_FEE)
            elif json.equal(&key, "commissionAsset"):
                fields.note(c, found, BODY_FEE_ASSET)
            elif json.equal(&key, "isBuyer"):
                fields.note(c, found, BODY_IS_BUYER)
            elif json.equal(&key, "isMaker"):
                fields.note(c, found, BODY_IS_MAKER)
            elif json.equal(&key, "time"):
                fields.note(c, found, BODY_TIME)
            elif json.equal(&key, "symbol"):
                fields.note(c, found, BODY_SYMBOL)
            else:
                json.skip_value(c)

    inline uint64_t named(json.Cursor *c, const fields.Fields *found) noexcept:
        """Our id of an order, 0 = it is not ours."""
        cdef json.Cursor value
        cdef json.Text text
        if not fields.read_text(c, found, BODY_CLIENT, &value, &text):
            return 0
        return client_id.read(text.data, text.length)

    inline ExecutionReport *report_on(json.Cursor *c, const fields.Fields *found, const ChildOrder *order,
                                      uint32_t time_field, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """A new report on the order that was asked for, with its identity and time; NULL if something is missing."""
        cdef ExecutionReport *report = outbox.new_report(c, out, receive_ns)
        cdef int64_t time = 0
        if report is NULL:
            return NULL
        report.client_order_id = order.client_order_id
        report.listing = order.listing
        if not binance_reports.read_order_id(c, found, BODY_ORDER, report):
            return NULL
        if not fields.read_int64(c, found, time_field, &time):
            return NULL
        report.exchange_ns = binance_times.unix_ns(c, time)
        return report

    inline uint8_t type_of(json.Cursor *c, const fields.Fields *found, ExecutionReport *report) noexcept:
        cdef json.Cursor value
        cdef json.Text text
        if not fields.read_text(c, found, BODY_STATUS, &value, &text):
            return 0
        if json.equal(&text, "CANCELED"):
            return ExecType.REPORT_CANCELED
        if json.equal(&text, "REJECTED"):
            report.reason = Reason.EXCHANGE_OTHER
            return ExecType.REPORT_REJECTED
        if json.equal(&text, "EXPIRED"):
            return ExecType.REPORT_EXPIRED
        if json.equal(&text, "EXPIRED_IN_MATCH"):
            report.reason = Reason.SELF_TRADE
            return ExecType.REPORT_EXPIRED
        if (json.equal(&text, "NEW") or json.equal(&text, "PENDING_NEW") or json.equal(&text, "PARTIALLY_FILLED")
                or json.equal(&text, "PENDING_CANCEL") or json.equal(&text, "FILLED")):
            return ExecType.REPORT_STATUS
        json.fail(c, DecodeStatus.BAD_FIELD)        # nothing may be concluded from a word that is not known
        return 0

    inline void decode_state(json.Cursor *c, const Reports *reports, const ChildOrder *order, bint is_listed,
                             int64_t receive_ns, DecodeBuffer *out) noexcept:
        """One order, if it is the one that was asked for. `is_listed`: it may be another."""
        cdef fields.Fields found
        cdef ExecutionReport *report
        note_entry(c, &found)
        if c.status != json.GOOD or (named(c, &found) != order.client_order_id and is_listed):
            return
        report = report_on(c, &found, order, BODY_UPDATED, receive_ns, out)
        if report is NULL:
            return
        report.exec_type = type_of(c, &found, report)
        read_side(c, &found, report)
        fields.read_decimal(c, &found, BODY_EXECUTED, reports.listings[order.listing].quantity_decimals,
                            &report.cumulative_quantity)
        if report.exec_type == ExecType.REPORT_STATUS and fields.has_value(&found, BODY_QUANTITY):
            fields.read_decimal(c, &found, BODY_QUANTITY, reports.listings[order.listing].quantity_decimals,
                                &report.last_quantity)
            fields.read_decimal(c, &found, BODY_PRICE, reports.listings[order.listing].price_decimals,
                                &report.last_price)
        if c.status == json.GOOD:
            outbox.publish(c, out, report)

    inline void read_side(json.Cursor *c, const fields.Fields *found, ExecutionReport *report) noexcept:
        cdef json.Cursor value
        cdef json.Text text
        if fields.read_text(c, found, BODY_SIDE, &value, &text):
            report.side = Side.BUY if json.equal(&text, "BUY") else Side.SELL

    inline void decode_trade(json.Cursor *c, const Reports *reports, const ChildOrder *order, int64_t receive_ns,
                             DecodeBuffer *out) noexcept:
        """One trade of the order that was asked for."""
        cdef fields.Fields found
        cdef ExecutionReport *report
        note_entry(c, &found)
        if c.status != json.GOOD:
            return
        report = report_on(c, &found, order, BODY_TIME, receive_ns, out)
        if report is not NULL:
            read_trade(c, reports, &found, report, out)

    inline void read_trade(json.Cursor *c, const Reports *reports, const fields.Fields *found,
                           ExecutionReport *report, DecodeBuffer *out) noexcept:
        """What a trade says, into a report that names its order and listing."""
        cdef const Listing *listing = &reports.listings[report.listing]
        cdef json.Cursor value
        cdef json.Text text
        cdef int64_t trade_id = 0
        cdef bint buys = False
        cdef bint makes = False
        report.exec_type = ExecType.REPORT_FILL
        fields.read_int64(c, found, BODY_TRADE, &trade_id)
        fields.read_decimal(c, found, BODY_PRICE, listing.price_decimals, &report.last_price)
        fields.read_decimal(c, found, BODY_QUANTITY, listing.quantity_decimals, &report.last_quantity)
        fields.read_exact(c, found, BODY_FEE, &report.fee, &report.fee_decimals)
        fields.read_bool(c, found, BODY_IS_BUYER, &buys)
        fields.read_bool(c, found, BODY_IS_MAKER, &makes)
        if fields.read_text(c, found, BODY_FEE_ASSET, &value, &text):
            report.fee_asset = assets.find(&reports.assets, text.data, text.length)
        if c.status == json.GOOD and (report.last_quantity <= 0 or trade_id < 0):
            json.fail(c, DecodeStatus.BAD_FIELD)
        report.trade_id = <uint64_t>trade_id
        report.side = Side.BUY if buys else Side.SELL
        report.liquidity = Liquidity.MAKER if makes else Liquidity.TAKER
        if c.status == json.GOOD:
            outbox.publish(c, out, report)

    inline int decode(const Reports *reports, int kind, const ChildOrder *order, const char *data, size_t size,
                      int64_t receive_ns, DecodeBuffer *out) noexcept:
        """One body; of a list, every entry."""
        cdef json.Cursor c
        outbox.begin(out)
        json.open(&c, data, size)
        if kind == BodyKind.ORDER_STATE:
            decode_state(&c, reports, order, False, receive_ns, out)
        else:
            json.enter_array(&c)
            while json.next_element(&c):
                if kind == BodyKind.ORDER_TRADES:
                    decode_trade(&c, reports, order, receive_ns, out)
                else:
                    decode_state(&c, reports, order, True, receive_ns, out)
        json.finish(&c)
        return outbox.end(&c, out)

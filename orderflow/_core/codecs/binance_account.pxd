"""What Binance's REST answers say of an account: /openOrders, /myTrades and /account, for a round of reconciliation.

Orders and trades whoever's they are: an open order is REPORT_STATUS with our id, 0 where it is not one of ours; a trade
is REPORT_FILL and names its order by the exchange's id only; a balance is REPORT_BALANCE, free and locked each. Of a
symbol that is not ours only ids are read. An answer without its list is not understood: that the account is empty it
must say. (Binance, "Spot REST API": current open orders, account trade list, account information.)
"""
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

from orderflow._core cimport json
from orderflow._core.codec cimport NO_ASSET, SYMBOL_SIZE, DecodeBuffer, DecodeStatus, find_symbol
from orderflow._core.codecs cimport assets, balances, binance_bodies, binance_reports, binance_times, fields, outbox
from orderflow._core.codecs.binance_reports cimport Reports
from orderflow._core.types cimport BodyKind, ExecType, ExecutionReport, Listing

cdef enum:
    BALANCE_ASSET = 0
    BALANCE_FREE = 1
    BALANCE_LOCKED = 2


cdef nogil:
    inline ExecutionReport *report_on(json.Cursor *c, const Reports *reports, const fields.Fields *found,
                                      uint32_t time_field, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """A new report with the exchange's id of the order, its symbol's listing, and the time; NULL if one is missing.
        """
        cdef ExecutionReport *report = outbox.new_report(c, out, receive_ns)
        cdef json.Cursor value
        cdef json.Text text
        cdef int64_t time = 0
        cdef int32_t listing
        if report is NULL or not fields.read_text(c, found, binance_bodies.BODY_SYMBOL, &value, &text):
            return NULL
        if text.length > SYMBOL_SIZE:
            json.fail(c, DecodeStatus.BAD_SYMBOL)
            return NULL
        listing = find_symbol(reports.symbols, text.data, text.length)
        if listing >= 0:
            report.listing = <uint32_t>listing
        if not binance_reports.read_order_id(c, found, binance_bodies.BODY_ORDER, report):
            return NULL
        if not fields.read_int64(c, found, time_field, &time):
            return NULL
        report.exchange_ns = binance_times.unix_ns(c, time)
        return report

    inline void decode_open(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        cdef fields.Fields found
        cdef ExecutionReport *report
        cdef const Listing *listing
        binance_bodies.note_entry(c, &found)
        if c.status != json.GOOD:
            return
        report = report_on(c, reports, &found, binance_bodies.BODY_UPDATED, receive_ns, out)
        if report is NULL:
            return
        report.client_order_id = binance_bodies.named(c, &found)
        report.exec_type = binance_bodies.type_of(c, &found, report)
        binance_bodies.read_side(c, &found, report)
        if report.listing < reports.requests.listing_count:
            listing = &reports.listings[report.listing]
            fields.read_decimal(c, &found, binance_bodies.BODY_EXECUTED, listing.quantity_decimals,
                                &report.cumulative_quantity)
            fields.read_decimal(c, &found, binance_bodies.BODY_QUANTITY, listing.quantity_decimals,
                                &report.last_quantity)
            fields.read_decimal(c, &found, binance_bodies.BODY_PRICE, listing.price_decimals, &report.last_price)
        if c.status == json.GOOD and report.exec_type == ExecType.REPORT_STATUS:
            outbox.publish(c, out, report)

    inline void decode_trade(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        cdef fields.Fields found
        cdef ExecutionReport *report
        binance_bodies.note_entry(c, &found)
        if c.status != json.GOOD:
            return
        report = report_on(c, reports, &found, binance_bodies.BODY_TIME, receive_ns, out)
        if report is not NULL and report.listing < reports.requests.listing_count:
            binance_bodies.read_trade(c, reports, &found, report, out)

    inline void decode_balance(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """Of an asset that we trade; others may be of any size."""
        cdef fields.Fields found
        cdef json.Cursor value
        cdef json.Text key, name
        cdef uint16_t asset
        found.present = 0
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "asset"):
                fields.note(c, &found, BALANCE_ASSET)
            elif json.equal(&key, "free"):
                fields.note(c, &found, BALANCE_FREE)
            elif json.equal(&key, "locked"):
                fields.note(c, &found, BALANCE_LOCKED)
            else:
                json.skip_value(c)
        if not fields.read_text(c, &found, BALANCE_ASSET, &value, &name):
            return
        asset = assets.find(&reports.assets, name.data, name.length)
        if asset != NO_ASSET:
            balances.read(c, &found, BALANCE_FREE, asset, receive_ns, out)
            balances.read(c, &found, BALANCE_LOCKED, asset, receive_ns, out)

    inline bint decode_account(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """Whether it had balances."""
        cdef json.Text key
        cdef bint has_balances = False
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, "balances"):
                has_balances = True
                json.enter_array(c)
                while json.next_element(c):
                    decode_balance(c, reports, receive_ns, out)
            else:
                json.skip_value(c)
        return has_balances

    inline int decode(const Reports *reports, int kind, const char *data, size_t size, int64_t receive_ns,
                      DecodeBuffer *out) noexcept:
        """One body."""
        cdef json.Cursor c
        cdef bint is_whole = True
        outbox.begin(out)
        json.open(&c, data, size)
        if kind == BodyKind.ACCOUNT_BALANCES:
            is_whole = decode_account(&c, reports, receive_ns, out)
        else:
            json.enter_array(&c)
            while json.next_element(&c):
                if kind == BodyKind.ACCOUNT_TRADES:
                    decode_trade(&c, reports, receive_ns, out)
                else:
                    decode_open(&c, reports, receive_ns, out)
        if json.finish(&c) and not is_whole:
            json.fail(&c, DecodeStatus.UNKNOWN_MESSAGE)
        return outbox.end(&c, out)

"""What Kraken's REST answers say of an account: OpenOrders, TradesHistory and Balance, for a round of reconciliation.

Orders and trades whoever's they are: an open order is REPORT_STATUS with our id, 0 where it is not one of ours; a
trade is REPORT_FILL and names its order by the exchange's id only; a balance is REPORT_BALANCE. REST spells pairs and
assets in ways of its own. Of a pair that is not ours only ids are read. An answer without its result is not understood:
that the account is empty it must say. (Kraken, "Spot REST": get open orders, get trades history, get account balance.)
"""
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

from orderflow._core cimport json
from orderflow._core.codec cimport NO_ASSET, NO_LISTING, SYMBOL_SIZE, DecodeBuffer, DecodeStatus, find_symbol
from orderflow._core.codecs cimport assets, balances, fields, kraken_bodies, outbox
from orderflow._core.codecs.kraken_reports cimport Reports
from orderflow._core.types cimport BodyKind, ExecType, ExecutionReport, Listing

cdef enum:
    AMOUNT = 0


cdef nogil:
    inline uint32_t listing_of(json.Cursor *c, const Reports *reports, const fields.Fields *found) noexcept:
        """The listing of a pair as REST spells it, NO_LISTING if it is not ours."""
        cdef json.Cursor value
        cdef json.Text text
        cdef int32_t listing
        if not fields.read_text(c, found, kraken_bodies.BODY_PAIR, &value, &text):
            return NO_LISTING
        if text.length > SYMBOL_SIZE:
            json.fail(c, DecodeStatus.BAD_SYMBOL)
            return NO_LISTING
        listing = find_symbol(reports.rest_symbols, text.data, text.length)
        return NO_LISTING if listing < 0 else <uint32_t>listing

    inline void decode_open(json.Cursor *c, const Reports *reports, const json.Text *name, int64_t receive_ns,
                            DecodeBuffer *out) noexcept:
        """One order, under the name that the exchange gave it."""
        cdef fields.Fields found, description
        cdef json.Cursor inner
        cdef ExecutionReport *report
        cdef const Listing *listing
        kraken_bodies.note_entry(c, &found)
        if c.status != json.GOOD:
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL or not outbox.copy_identity(c, report, name):
            return
        report.client_order_id = kraken_bodies.named(c, &found)
        report.exec_type = ExecType.REPORT_STATUS
        fields.enter(&found, kraken_bodies.BODY_DESCRIPTION, &inner)
        kraken_bodies.note_entry(&inner, &description)
        report.listing = listing_of(&inner, reports, &description)
        report.side = kraken_bodies.side_of(&inner, &description)
        if report.listing != NO_LISTING:
            listing = &reports.listings[report.listing]
            fields.read_decimal(c, &found, kraken_bodies.BODY_EXECUTED, listing.quantity_decimals,
                                &report.cumulative_quantity)
            fields.read_decimal(c, &found, kraken_bodies.BODY_QUANTITY, listing.quantity_decimals,
                                &report.last_quantity)
            fields.read_decimal(&inner, &description, kraken_bodies.BODY_PRICE, listing.price_decimals,
                                &report.last_price)
        if fields.settle(c, &inner):
            outbox.publish(c, out, report)

    inline void decode_trade(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        cdef fields.Fields found
        cdef ExecutionReport *report
        kraken_bodies.note_entry(c, &found)
        if c.status != json.GOOD:
            return
        report = outbox.new_report(c, out, receive_ns)
        if report is NULL:
            return
        report.listing = listing_of(c, reports, &found)
        if report.listing != NO_LISTING:
            kraken_bodies.read_trade(c, reports, &found, report, out)

    inline void decode_entries(json.Cursor *c, const Reports *reports, int kind, int64_t receive_ns,
                               DecodeBuffer *out) noexcept:
        """An object of orders or trades by their names."""
        cdef json.Text name
        json.enter_object(c)
        while json.next_key(c, &name):
            if kind == BodyKind.ACCOUNT_TRADES:
                decode_trade(c, reports, receive_ns, out)
            else:
                decode_open(c, reports, &name, receive_ns, out)

    inline void decode_balances(json.Cursor *c, const Reports *reports, int64_t receive_ns, DecodeBuffer *out) noexcept:
        """Amounts by asset; those of assets that we do not trade may be of any size."""
        cdef json.Text name
        cdef fields.Fields found
        cdef uint16_t asset
        json.enter_object(c)
        while json.next_key(c, &name):
            asset = assets.find(&reports.rest_assets, name.data, name.length)
            found.present = 0
            fields.note(c, &found, AMOUNT)
            if asset != NO_ASSET:
                balances.read(c, &found, AMOUNT, asset, receive_ns, out)

    inline bint decode_result(json.Cursor *c, const Reports *reports, int kind, int64_t receive_ns,
                              DecodeBuffer *out) noexcept:
        """Whether it had what was asked for: balances stand in it by themselves, the others one level deeper."""
        cdef const char *wanted = b"open"
        cdef json.Text key
        cdef bint has_them = False
        if kind == BodyKind.ACCOUNT_BALANCES:
            decode_balances(c, reports, receive_ns, out)
            return True
        if kind == BodyKind.ACCOUNT_TRADES:
            wanted = b"trades"
        json.enter_object(c)
        while json.next_key(c, &key):
            if json.equal(&key, wanted):
                has_them = True
                decode_entries(c, reports, kind, receive_ns, out)
            else:
                json.skip_value(c)
        return has_them

    inline int decode(const Reports *reports, int kind, const char *data, size_t size, int64_t receive_ns,
                      DecodeBuffer *out) noexcept:
        """One body."""
        cdef json.Cursor c
        cdef json.Text key
        cdef bint is_whole = False
        outbox.begin(out)
        json.open(&c, data, size)
        json.enter_object(&c)
        while json.next_key(&c, &key):
            if json.equal(&key, "result"):
                is_whole = decode_result(&c, reports, kind, receive_ns, out)
            else:
                json.skip_value(&c)
        if json.finish(&c) and not is_whole:
            json.fail(&c, DecodeStatus.UNKNOWN_MESSAGE)
        return outbox.end(&c, out)

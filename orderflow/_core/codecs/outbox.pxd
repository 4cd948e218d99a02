"""Appending messages and reports to a DecodeBuffer; what every codec of an order connection does at the end."""
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

from orderflow._core cimport json
from orderflow._core.codec cimport NO_ASSET, NO_LISTING, NO_SLOT, DecodeBuffer, DecodeStatus
from orderflow._core.types cimport ExecutionReport, Message, MessageKind


cdef nogil:
    inline void begin(DecodeBuffer *out) noexcept:
        out.message_count = 0
        out.level_count = 0
        out.report_count = 0
        out.fault_listing = -1
        out.fault_offset = 0

    inline int end(json.Cursor *c, DecodeBuffer *out) noexcept:
        """The status of the frame; one that is wrong anywhere says nothing at all."""
        if c.status != json.GOOD:
            out.message_count = 0
            out.report_count = 0
            out.fault_offset = json.offset(c)
        return c.status

    inline Message *add_message(json.Cursor *c, DecodeBuffer *out, uint8_t kind, int32_t listing) noexcept:
        """A cleared message, NULL if there is no room."""
        cdef Message *message
        if out.message_count == out.message_capacity:
            json.fail(c, DecodeStatus.TOO_MANY)
            return NULL
        message = &out.messages[out.message_count]
        out.message_count += 1
        memset(message, 0, sizeof(Message))
        message.kind = kind
        message.listing = listing
        return message

    inline ExecutionReport *new_report(json.Cursor *c, DecodeBuffer *out, int64_t receive_ns) noexcept:
        """The next report, cleared and not yet counted; NULL if there is no room."""
        cdef ExecutionReport *report
        if out.report_count == out.report_capacity:
            json.fail(c, DecodeStatus.TOO_MANY)
            return NULL
        report = &out.reports[out.report_count]
        memset(report, 0, sizeof(ExecutionReport))
        report.receive_ns = receive_ns
        report.cumulative_quantity = -1
        report.listing = NO_LISTING
        report.slot = NO_SLOT
        report.fee_asset = NO_ASSET
        return report

    inline void publish(json.Cursor *c, DecodeBuffer *out, ExecutionReport *report) noexcept:
        """Counts the report and writes the message that points at it."""
        cdef int32_t listing = -1 if report.listing == NO_LISTING else <int32_t>report.listing
        cdef Message *message = add_message(c, out, MessageKind.REPORT, listing)
        if message is not NULL:
            message.report = out.report_count
            message.exchange_ns = report.exchange_ns
            out.report_count += 1

    inline bint copy_identity(json.Cursor *c, ExecutionReport *report, const json.Text *name) noexcept:
        """The exchange's own order id, zero-terminated; none of theirs is longer than 31."""
        if not 0 < name.length < sizeof(report.exchange_order_id):
            return json.fail(c, DecodeStatus.BAD_FIELD)
        memcpy(report.exchange_order_id, name.data, name.length)
        return True

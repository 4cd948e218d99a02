"""What an account holds of an asset, as REPORT_BALANCE: amounts are added up by who hears them, and exact.

A balance is told with as many decimals as the exchange likes, so that a large holding of a cheap asset does not fit 64
bits (ten decimals: from 922 337 203 units on). Such a one is told in two reports: its whole units, and what is behind
the point.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from orderflow._core cimport fixed, json
from orderflow._core.codec cimport DecodeBuffer
from orderflow._core.codecs cimport fields, outbox
from orderflow._core.types cimport ExecType, ExecutionReport

cdef enum:
    TOO_MANY_UNITS = 1_000_000_000_000_000_000  # of one asset: what is less fits 128 bits in 1e-18, added up as well


cdef nogil:
    inline bint split(const char *at, const char *end, uint8_t decimals, int64_t *whole, int64_t *rest) noexcept:
        """A number [at, end) without an exponent: before the point, and so many digits behind it, after which there are
        only zeros. False: it has an exponent, or is too large."""
        cdef bint negative = at < end and at[0] == b"-"
        whole[0] = rest[0] = 0
        if negative:
            at += 1
        while at < end and at[0] != b".":
            if not fixed.is_digit(at[0]) or whole[0] >= TOO_MANY_UNITS // 10:
                return False
            whole[0] = whole[0] * 10 + (at[0] - 48)
            at += 1
        while decimals:
            at += 1
            if not fixed.is_digit(at[0]):
                return False
            rest[0] = rest[0] * 10 + (at[0] - 48)
            decimals -= 1
        if negative:
            whole[0], rest[0] = -whole[0], -rest[0]
        return True

    inline void tell(json.Cursor *c, DecodeBuffer *out, uint16_t asset, int64_t amount, uint8_t decimals,
                     int64_t receive_ns) noexcept:
        cdef ExecutionReport *report = outbox.new_report(c, out, receive_ns)
        if report is NULL:
            return
        report.exec_type = ExecType.REPORT_BALANCE
        report.fee_asset = asset
        report.fee, report.fee_decimals = amount, decimals
        outbox.publish(c, out, report)

    inline void read(json.Cursor *c, const fields.Fields *found, uint32_t index, uint16_t asset, int64_t receive_ns,
                     DecodeBuffer *out) noexcept:
        """An amount of an asset that we trade, in quotes or bare."""
        cdef json.Cursor value
        cdef int64_t amount = 0
        cdef int64_t whole = 0
        cdef uint8_t decimals = 0
        cdef const char *at
        cdef const char *end
        json.open(&value, c.begin, c.end - c.begin)
        if fields.read_exact(&value, found, index, &amount, &decimals):
            if decimals == 0 and not -<int64_t>TOO_MANY_UNITS < amount < TOO_MANY_UNITS:
                json.fail(c, fixed.NUMBER_RANGE)
            tell(c, out, asset, amount, decimals, receive_ns)
            return
        if value.status != fixed.NUMBER_RANGE:
            fields.settle(c, &value)
            return
        at, end = found.spans[index].begin, found.spans[index].end
        if at[0] == b'"':
            at, end = at + 1, end - 1
        if not split(at, end, decimals, &whole, &amount):
            fields.settle(c, &value)
            return
        tell(c, out, asset, whole, 0, receive_ns)
        tell(c, out, asset, amount, decimals, receive_ns)

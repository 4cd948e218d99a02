from libc.stdint cimport int32_t, int64_t, uint32_t

from orderflow._core.codec cimport DecodeBuffer, OrderCodec
from orderflow._core.codecs cimport assets, binance_reports, binance_requests
from orderflow._core.signing cimport Signer
from orderflow._core.types cimport ChildOrder


cdef class BinanceOrders(OrderCodec):
    cdef binance_requests.Requests requests
    cdef binance_reports.Reports reports
    cdef int32_t *rows
    cdef binance_requests.Tail *places
    cdef binance_requests.Tail *cancels
    cdef binance_requests.Tail *sweeps
    cdef assets.Asset *asset_names
    cdef Signer place_signer
    cdef Signer iceberg_signer
    cdef Signer cancel_signer
    cdef Signer amend_signer
    cdef Signer sweep_signer

    cdef int _prepare_heads(self, api_key, Signer signer) except -1
    cdef int _prepare_tails(self, dict window, dict self_trade) except -1
    cdef int encode_new(self, const ChildOrder *order, int64_t unix_ns, char *out, size_t capacity) noexcept nogil
    cdef int encode_cancel(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                           char *out, size_t capacity) noexcept nogil
    cdef int encode_replace(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                            char *out, size_t capacity) noexcept nogil
    cdef int decode_order_body(self, int kind, const ChildOrder *order, const char *data, size_t size,
                               int64_t receive_ns, DecodeBuffer *out) noexcept nogil
    cdef int decode_account_body(self, int kind, const char *data, size_t size, int64_t receive_ns,
                                 DecodeBuffer *out) noexcept nogil
    cdef int encode_cancel_all(self, uint32_t listing, int64_t unix_ns, char *out, size_t capacity) noexcept nogil
    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil

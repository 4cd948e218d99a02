from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

from orderflow._core.codec cimport DecodeBuffer, OrderCodec, SymbolTable
from orderflow._core.codecs cimport assets, kraken_reports, kraken_requests, text
from orderflow._core.types cimport ChildOrder


cdef class KrakenOrders(OrderCodec):
    cdef kraken_requests.Requests requests
    cdef kraken_reports.Reports reports
    cdef int32_t *rows
    cdef text.Piece *places
    cdef assets.Asset *asset_names
    cdef assets.Asset *rest_asset_names
    cdef SymbolTable rest_symbols
    cdef uint16_t *quote_assets

    cdef int _prepare_places(self) except -1
    cdef int _note_quotes(self, list names) except -1
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
    cdef int encode_dead_man(self, int64_t seconds, int64_t unix_ns, char *out, size_t capacity) noexcept nogil
    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil

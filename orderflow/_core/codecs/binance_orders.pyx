"""Order entry and user stream of Binance Spot over its WebSocket API.

Prepares the constant text of requests (binance_requests.pxd writes them) and the tables that reading reports needs
(binance_reports.pxd and, of REST answers, binance_bodies.pxd and binance_account.pxd read them).
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free

from orderflow._core.codec cimport ORDER_FRAME_LIMIT, DecodeBuffer, DecodeStatus, EncodeStatus, OrderCodec
from orderflow._core.codecs cimport assets, binance_account, binance_bodies, binance_reports, binance_requests
from orderflow._core.codecs.prepared cimport check_decimals, check_text, copy_assets, set_piece
from orderflow._core.signing cimport Signer
from orderflow._core.types cimport ChildOrder

# By Variant: what stands for the order type, and for the time in force (None: the type has none).
VARIANT_TEXTS = (("LIMIT", "GTC"), ("LIMIT", "IOC"), ("LIMIT", "FOK"), ("LIMIT_MAKER", None), ("MARKET", None))
ID_HOLE = "0" * binance_requests.REQUEST_ID
CLIENT_ID_HOLE = "of" + "0" * 13


cdef int _set_head(binance_requests.Head *head, str frame, str payload) except -1:
    """Both beginnings; where the client order id goes is where its hole stands, if there is one."""
    cdef bytes frame_text = frame.encode()
    cdef bytes payload_text = payload.encode()
    head.frame_size = len(frame_text)
    head.payload_size = len(payload_text)
    head.frame[:head.frame_size] = frame_text
    head.payload[:head.payload_size] = payload_text
    head.frame_id = max(frame_text.find(CLIENT_ID_HOLE.encode()), 0)
    head.payload_id = max(payload_text.find(CLIENT_ID_HOLE.encode()), 0)
    return 0


cdef int _set_tail(binance_requests.Tail *tail, dict parameters, str separator) except -1:
    """Constant parameters in both texts; in the signed one they are split where the timestamp sorts in.

    `separator` ends the parameter that stands before them in the frame.
    """
    before = {name: value for name, value in parameters.items() if name < "timestamp"}
    after = {name: value for name, value in parameters.items() if name > "timestamp"}
    frame = "".join(f'"{name}":{value},' if name == "recvWindow" else f'"{name}":"{value}",'
                    for name, value in parameters.items())
    set_piece(&tail.frame, separator + frame + '"timestamp":')
    set_piece(&tail.payload, "".join(f"&{name}={before[name]}" for name in sorted(before)) + "&timestamp=")
    set_piece(&tail.payload_end, "".join(f"&{name}={after[name]}" for name in sorted(after)))
    return 0


cdef class BinanceOrders(OrderCodec):
    """Codec of a Binance Spot order connection: orders, cancels, and the user stream on the same socket.

    Parameters
    ----------
    listings, symbols
        As of `Codec`.
    api_key : str or None
        Sent with every request. None where the session is logged on (`session.logon`, Ed25519 keys).
    signer : Signer or None
        Signs every request; given if and only if `api_key` is.
    receive_window_ms : int
        How late a request may reach the exchange before it refuses it, 1 to 60000; 0 leaves it to the exchange (5000).
    self_trade : str
        What the exchange does with an order of ours that would meet another of the same account
        (selfTradePreventionMode); "" leaves it to the account.
    assets : sequence of str
        Names for `ExecutionReport.fee_asset`, which is the index here; frequent ones first.

    Raises
    ------
    ValueError
        A text with characters that would need escaping, numbers of more than 18 decimals, key without signer.
    """

    def configure(self, *, api_key=None, signer=None, receive_window_ms=0, self_trade="", assets=()):  # no-cython-lint
        if (api_key is None) != (signer is None):
            raise ValueError("api_key and signer belong together: both, or neither after session.logon")
        if not 0 <= receive_window_ms <= 60000:
            raise ValueError(f"receive_window_ms={receive_window_ms}: 0 to 60000 are possible")
        if api_key is not None:
            check_text("api_key", api_key, binance_requests.KEY_LIMIT)
        self._prepare_heads(api_key, signer)
        window = {"recvWindow": str(receive_window_ms)} if receive_window_ms else {}
        if self_trade:
            check_text("self_trade", self_trade, 24)
        self._prepare_tails(window, {"selfTradePreventionMode": self_trade} if self_trade else {})
        self.asset_names = copy_assets(assets)
        self.reports.assets.names = self.asset_names
        self.reports.assets.count = len(assets)
        self.reports.listings = self.listings
        self.reports.symbols = &self.symbols
        self.reports.requests = &self.requests

    cdef int _prepare_heads(self, api_key, Signer signer) except -1:
        key_field = "" if api_key is None else f'"apiKey":"{api_key}",'
        _set_head(&self.requests.place,
                  f'{{"id":"{ID_HOLE}","method":"order.place","params":{{{key_field}'
                  f'"newClientOrderId":"{CLIENT_ID_HOLE}","newOrderRespType":"ACK",',
                  f"apiKey={api_key}&newClientOrderId={CLIENT_ID_HOLE}&newOrderRespType=ACK")
        _set_head(&self.requests.iceberg,
                  f'{{"id":"{ID_HOLE}","method":"order.place","params":{{{key_field}'
                  f'"newClientOrderId":"{CLIENT_ID_HOLE}","newOrderRespType":"ACK","icebergQty":"',
                  f"apiKey={api_key}&icebergQty=")
        _set_head(&self.requests.cancel, f'{{"id":"{ID_HOLE}","method":"order.cancel","params":{{{key_field}',
                  f"apiKey={api_key}&or")
        _set_head(&self.requests.amend,
                  f'{{"id":"{ID_HOLE}","method":"order.amend.keepPriority","params":{{{key_field}"newQty":"',
                  f"apiKey={api_key}&newQty=")
        # Its answer is the session's: what became of each order comes over the user stream.
        _set_head(&self.requests.sweep, f'{{"id":"cancel-all","method":"openOrders.cancelAll","params":{{{key_field}',
                  f"apiKey={api_key}")
        if signer is not None:
            self.place_signer = signer.prepare(f"apiKey={api_key}&newClientOrderId=of".encode())
            self.cancel_signer = signer.prepare(f"apiKey={api_key}&or".encode())
            self.requests.place_key = self.place_signer.key
            self.iceberg_signer = signer.prepare(f"apiKey={api_key}&icebergQty=".encode())
            self.requests.iceberg_key = self.iceberg_signer.key
            self.amend_signer = signer.prepare(f"apiKey={api_key}&newQty=".encode())
            self.requests.amend_key = self.amend_signer.key
            self.sweep_signer = signer.prepare(f"apiKey={api_key}&".encode())
            self.requests.cancel_key = self.cancel_signer.key
            self.requests.sweep_key = self.sweep_signer.key
        return 0

    cdef int _prepare_tails(self, dict window, dict self_trade) except -1:
        cdef int row, side, variant
        cdef dict symbols = self.symbols_by_listing()
        self.rows = <int32_t *>calloc(max(self.listing_count, 1), sizeof(int32_t))
        self.places = <binance_requests.Tail *>calloc(
            max(len(symbols), 1) * 2 * binance_requests.VARIANTS, sizeof(binance_requests.Tail))
        self.cancels = <binance_requests.Tail *>calloc(max(len(symbols), 1), sizeof(binance_requests.Tail))
        self.sweeps = <binance_requests.Tail *>calloc(max(len(symbols), 1), sizeof(binance_requests.Tail))
        if self.rows is NULL or self.places is NULL or self.cancels is NULL or self.sweeps is NULL:
            raise MemoryError()
        for listing in range(self.listing_count):
            self.rows[listing] = -1
        for row, (listing, symbol) in enumerate(symbols.items()):
            check_text("symbol", symbol, 40)
            check_decimals(symbol, &self.listings[<int32_t>listing])
            self.rows[<int32_t>listing] = row
            _set_tail(&self.cancels[row], {**window, "symbol": symbol}, ",")
            _set_tail(&self.sweeps[row], {**window, "symbol": symbol}, "")
            for side, side_text in enumerate(("BUY", "SELL")):
                for variant, (type_text, force) in enumerate(VARIANT_TEXTS):
                    parameters = {**window, **self_trade, "side": side_text, "symbol": symbol, "type": type_text}
                    if force:
                        parameters["timeInForce"] = force
                    _set_tail(&self.places[(row * 2 + side) * binance_requests.VARIANTS + variant], parameters, '",')
        self.requests.listings = self.listings
        self.requests.listing_count = self.listing_count
        self.requests.rows = self.rows
        self.requests.places = self.places
        self.requests.cancels = self.cancels
        self.requests.sweeps = self.sweeps
        return 0

    def __dealloc__(self):
        free(self.rows)
        free(self.places)
        free(self.cancels)
        free(self.sweeps)
        free(self.asset_names)

    cdef int encode_new(self, const ChildOrder *order, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return binance_requests.place(&self.requests, order, unix_ns, out)

    cdef int encode_cancel(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                           char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return binance_requests.cancel(&self.requests, order, exchange_order_id, unix_ns, out)

    cdef int encode_replace(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                            char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return binance_requests.amend(&self.requests, order, exchange_order_id, unix_ns, out)

    cdef int encode_cancel_all(self, uint32_t listing, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return binance_requests.sweep(&self.requests, listing, unix_ns, out)

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        return binance_reports.decode(&self.reports, data, size, receive_ns, out)

    cdef int decode_order_body(self, int kind, const ChildOrder *order, const char *data, size_t size,
                               int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        if order.listing >= self.listing_count:
            return DecodeStatus.BAD_FIELD
        return binance_bodies.decode(&self.reports, kind, order, data, size, receive_ns, out)

    cdef int decode_account_body(self, int kind, const char *data, size_t size, int64_t receive_ns,
                                 DecodeBuffer *out) noexcept nogil:
        return binance_account.decode(&self.reports, kind, data, size, receive_ns, out)

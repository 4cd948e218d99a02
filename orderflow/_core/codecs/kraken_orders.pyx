"""Order entry and executions of Kraken Spot over its WebSocket v2.

Prepares the constant text of requests (kraken_requests.pxd writes them) and the tables that reading reports needs
(kraken_reports.pxd and, of REST answers, kraken_bodies.pxd and kraken_account.pxd read them).
"""
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from orderflow._core cimport codec
from orderflow._core.codec cimport NO_ASSET, ORDER_FRAME_LIMIT, DecodeBuffer, DecodeStatus, EncodeStatus, OrderCodec
from orderflow._core.codecs cimport assets, kraken_account, kraken_bodies, kraken_reports, kraken_requests, text
from orderflow._core.codecs.prepared cimport check_decimals, check_text, copy_assets, set_piece
from orderflow._core.types cimport ChildOrder

# By variant: order type, time in force (None: the type has none) and whether it is post-only.
VARIANT_TEXTS = (("limit", "gtc", False), ("limit", "gtc", True), ("limit", "ioc", False), ("limit", "gtd", False),
                 ("limit", "gtd", True), ("market", None, False), ("iceberg", "gtc", False), ("iceberg", "gtc", True))


cdef class KrakenOrders(OrderCodec):
    """Codec of a Kraken Spot order connection: orders, cancels, and the `executions` channel on the same socket.

    Nothing can be encoded before `set_token` has been called.

    Parameters
    ----------
    listings, symbols
        As of `Codec`.
    deadline_ms : int
        The engine matches nothing later than this after sending: 500 to 60000; 0 leaves it to the exchange (5000).
    open_orders : int
        How many open orders of the account are remembered by the exchange's id; see `forgotten`.
    assets : sequence of str
        Names for `ExecutionReport.fee_asset`, which is the index here; frequent ones first.
    rest_symbols : dict of str -> int
        How REST spells the pair of each listing: more than one way is possible.
    rest_assets : sequence of str
        How REST spells each of the assets; empty = as they are.

    Raises
    ------
    ValueError
        A text with characters that would need escaping, numbers of more than 18 decimals, an option out of range.
    """

    def configure(self, *, deadline_ms=0, open_orders=2048, assets=(), rest_symbols=None,  # no-cython-lint
                  rest_assets=()):
        if deadline_ms and not 500 <= deadline_ms <= 60000:
            raise ValueError(f"deadline_ms={deadline_ms}: 500 to 60000 are possible, or 0 for the exchange's default")
        if not 1 <= open_orders <= 1 << 20:
            raise ValueError(f"open_orders={open_orders}: 1 to {1 << 20} are possible")
        self.requests.deadline_ns = deadline_ms * 1000000
        self.cancels_account = True
        self._prepare_places()
        slots = 1 << (2 * (open_orders + kraken_reports.open_orders.ENDED_KEPT) - 1).bit_length()
        self.reports.orders.slots = <kraken_reports.open_orders.OpenOrder *>calloc(
            slots, sizeof(kraken_reports.open_orders.OpenOrder))
        if self.reports.orders.slots is NULL:
            raise MemoryError()
        self.reports.orders.mask = slots - 1
        self.reports.orders.capacity = open_orders
        self.asset_names = copy_assets(assets)
        self.reports.assets.names = self.asset_names
        self.reports.assets.count = len(assets)
        self._note_quotes(list(assets))
        codec.make_symbols(&self.rest_symbols, rest_symbols or {}, self.listing_count)
        self.reports.rest_symbols = &self.rest_symbols
        if rest_assets and len(rest_assets) != len(assets):
            raise ValueError(f"rest_assets: {len(rest_assets)} names for {len(assets)} assets")
        self.rest_asset_names = copy_assets(rest_assets or assets)
        self.reports.rest_assets.names = self.rest_asset_names
        self.reports.rest_assets.count = len(assets)
        self.reports.listings = self.listings
        self.reports.symbols = &self.symbols
        self.reports.requests = &self.requests

    cdef int _note_quotes(self, list names) except -1:
        """The asset that each listing's REST fees are in: what stands behind the slash of its symbol."""
        self.quote_assets = <uint16_t *>calloc(max(self.listing_count, 1), sizeof(uint16_t))
        if self.quote_assets is NULL:
            raise MemoryError()
        for listing, symbol in self.symbols_by_listing().items():
            quote = symbol.rpartition("/")[2]
            self.quote_assets[<int32_t>listing] = names.index(quote) if quote in names else NO_ASSET
        self.reports.quote_assets = self.quote_assets
        return 0

    cdef int _prepare_places(self) except -1:
        cdef int row, side, variant
        cdef dict symbols = self.symbols_by_listing()
        self.rows = <int32_t *>calloc(max(self.listing_count, 1), sizeof(int32_t))
        self.places = <text.Piece *>calloc(max(len(symbols), 1) * 2 * kraken_requests.VARIANTS, sizeof(text.Piece))
        if self.rows is NULL or self.places is NULL:
            raise MemoryError()
        for listing in range(self.listing_count):
            self.rows[listing] = -1
        for row, (listing, symbol) in enumerate(symbols.items()):
            check_text("symbol", symbol, 40)
            check_decimals(symbol, &self.listings[<int32_t>listing])
            self.rows[<int32_t>listing] = row
            # Charged in the quote currency, always: REST does not say in what (_note_quotes).
            for side, side_text in enumerate(("buy", "sell")):
                for variant, (type_text, force, post_only) in enumerate(VARIANT_TEXTS):
                    set_piece(&self.places[(row * 2 + side) * kraken_requests.VARIANTS + variant],
                              f'{{"method":"add_order","params":{{"order_type":"{type_text}","side":"{side_text}",'
                              f'"symbol":"{symbol}","fee_preference":"quote",'
                              + (f'"time_in_force":"{force}",' if force else "")
                              + ('"post_only":true,' if post_only else "")
                              + '"order_qty":')
        self.requests.listings = self.listings
        self.requests.listing_count = self.listing_count
        self.requests.rows = self.rows
        self.requests.places = self.places
        return 0

    def __dealloc__(self):
        free(self.rows)
        free(self.places)
        free(self.reports.orders.slots)
        free(self.asset_names)
        free(self.rest_asset_names)
        free(self.rest_symbols.slots)
        free(self.quote_assets)

    def set_token(self, token):
        """The session token of the account (GetWebSocketsToken), for every request from now on.

        May be called from any thread while the exchange thread encodes: the new token is written beside the one in use
        and then published. Not from two threads at once.
        """
        cdef int generation = self.requests.token_generation + 1
        check_text("token", token, kraken_requests.TOKEN_LIMIT, reserved="")
        set_piece(&self.requests.tokens[generation & 1], f'"token":"{token}"}},"req_id":')
        kraken_requests.store_release(&self.requests.token_generation, generation)

    @property
    def forgotten(self):
        """How many lines spoke of an order for which there was no room in the table of open orders."""
        return self.reports.orders.forgotten

    @property
    def open_order_count(self):
        """Open orders of the account that the channel has told of, ours and others."""
        return self.reports.orders.count

    cdef int encode_new(self, const ChildOrder *order, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return kraken_requests.place(&self.requests, order, unix_ns, out)

    cdef int encode_cancel(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                           char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return kraken_requests.cancel(&self.requests, order, out)

    cdef int encode_replace(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                            char *out, size_t capacity) noexcept nogil:
        if capacity < ORDER_FRAME_LIMIT:
            return EncodeStatus.ENCODE_NO_ROOM
        return kraken_requests.amend(&self.requests, order, unix_ns, out)

    cdef int encode_cancel_all(self, uint32_t listing, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        return EncodeStatus.ENCODE_NO_ROOM if capacity < ORDER_FRAME_LIMIT else kraken_requests.sweep(
            &self.requests, out)

    cdef int encode_dead_man(self, int64_t seconds, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        return EncodeStatus.ENCODE_NO_ROOM if capacity < ORDER_FRAME_LIMIT else kraken_requests.dead_man(
            &self.requests, seconds, out)

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        return kraken_reports.decode(&self.reports, data, size, receive_ns, out)

    cdef int decode_order_body(self, int kind, const ChildOrder *order, const char *data, size_t size,
                               int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        if order.listing >= self.listing_count:
            return DecodeStatus.BAD_FIELD
        return kraken_bodies.decode(&self.reports, kind, order, data, size, receive_ns, out)

    cdef int decode_account_body(self, int kind, const char *data, size_t size, int64_t receive_ns,
                                 DecodeBuffer *out) noexcept nogil:
        return kraken_account.decode(&self.reports, kind, data, size, receive_ns, out)

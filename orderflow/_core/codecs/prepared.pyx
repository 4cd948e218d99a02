"""Preparing an order codec: checked texts into fixed pieces. Runs when the codec is made, never per order."""
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from orderflow._core cimport fixed
from orderflow._core.codecs cimport assets, text
from orderflow._core.types cimport Listing


cdef int check_text(str what, value, int limit, str reserved="&= ") except -1:
    """Text goes into frames and signed payloads as it is, so nothing in it may need escaping in either; `reserved` is
    what signed payloads cannot hold."""
    if not 0 < len(value.encode()) <= limit:
        raise ValueError(f"{what}: 1 to {limit} bytes are possible, got {len(value.encode())}")
    if not value.isprintable() or any(character in value for character in '"\\' + reserved):
        raise ValueError(f"{what}: a control character, quote, backslash or one of {reserved!r} cannot be part of it")
    return 0


cdef int check_decimals(str symbol, const Listing *listing) except -1:
    if listing.price_decimals > fixed.MAXIMUM_POWER or listing.quantity_decimals > fixed.MAXIMUM_POWER:
        raise ValueError(f"{symbol}: prices and quantities have at most {fixed.MAXIMUM_POWER} decimals")
    return 0


cdef int set_piece(text.Piece *piece, str value) except -1:
    cdef bytes raw = value.encode()
    if len(raw) > text.PIECE_SIZE:
        raise ValueError(f"{len(raw)} bytes of constant text do not fit into {text.PIECE_SIZE}")
    piece.size = len(raw)
    memcpy(piece.text, <const char *>raw, piece.size)
    return 0


cdef assets.Asset *copy_assets(names) except NULL:
    """The caller frees it."""
    cdef assets.Asset *table
    cdef bytes raw
    if len(names) >= 0xffff:
        raise ValueError(f"{len(names)} assets are more than a report can tell apart")
    for name in names:
        if not 0 < len(name.encode()) <= assets.ASSET_SIZE:
            raise ValueError(f"asset {name!r}: 1 to {assets.ASSET_SIZE} bytes are possible")
    table = <assets.Asset *>calloc(max(len(names), 1), sizeof(assets.Asset))
    if table is NULL:
        raise MemoryError()
    for i, name in enumerate(names):
        raw = name.encode()
        table[<int>i].size = len(raw)
        memcpy(table[<int>i].name, <const char *>raw, len(raw))
    return table

from orderflow._core.codecs cimport assets, text
from orderflow._core.types cimport Listing

cdef int check_text(str what, value, int limit, str reserved=*) except -1
cdef int check_decimals(str symbol, const Listing *listing) except -1
cdef int set_piece(text.Piece *piece, str value) except -1
cdef assets.Asset *copy_assets(names) except NULL

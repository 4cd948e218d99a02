"""Python face of checksum.pxd."""
from orderflow._core.types import LEVEL_DTYPE


def crc32_of(bytes data):
    """CRC-32 of IEEE 802.3, as zlib.crc32."""
    return crc32(data, len(data))


def crc32_portable_of(bytes data):
    """The same as processors without carry-less multiplication reckon it."""
    return crc32_portable(data, len(data))


def kraken_checksum(asks, bids, int price_zeros=0, int quantity_zeros=0):
    """Kraken's checksum of the ten best levels.

    Parameters
    ----------
    asks, bids : numpy structured arrays of LEVEL_DTYPE
        Best first.
    price_zeros, quantity_zeros : int
        Decimals on the wire less those of the scale.
    """
    if asks.dtype != LEVEL_DTYPE or bids.dtype != LEVEL_DTYPE:
        raise TypeError(f"asks, bids: expected LEVEL_DTYPE, got {asks.dtype} and {bids.dtype}")
    cdef bytes ask_levels = asks.tobytes()
    cdef bytes bid_levels = bids.tobytes()
    return kraken(<const Level *><const char *>ask_levels, len(asks), <const Level *><const char *>bid_levels,
                  len(bids), price_zeros, quantity_zeros)


def interleaved_checksum(asks, bids, bint bitfinex, int price_decimals, int quantity_decimals):
    """The checksum of OKX, or of Bitfinex, over the 25 best levels.

    Parameters
    ----------
    asks, bids : numpy structured arrays of LEVEL_DTYPE
        Best first.
    bitfinex : bool
        Asks negative, numbers as JavaScript writes them.
    price_decimals, quantity_decimals : int
        Of the listing's scale.
    """
    if asks.dtype != LEVEL_DTYPE or bids.dtype != LEVEL_DTYPE:
        raise TypeError(f"asks, bids: expected LEVEL_DTYPE, got {asks.dtype} and {bids.dtype}")
    cdef bytes ask_levels = asks.tobytes()
    cdef bytes bid_levels = bids.tobytes()
    return interleaved(<const Level *><const char *>ask_levels, len(asks), <const Level *><const char *>bid_levels,
                       len(bids), bitfinex, price_decimals, quantity_decimals)

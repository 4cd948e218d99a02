from enum import IntEnum

import numpy as np

class Side(IntEnum):
    NO_SIDE = 0
    BUY = 1
    SELL = 2

class BookState(IntEnum):
    EMPTY = 0
    SYNCING = 1
    LIVE = 2
    STALE = 3

class BookFault(IntEnum):
    NO_FAULT = 0
    GAP = 1
    CHECKSUM = 2
    CROSSED = 3
    INEXACT = 4
    MALFORMED = 5
    SILENT = 6
    DISCONNECTED = 7
    FULL = 8
    LAGGING = 9

class MessageKind(IntEnum):
    IGNORED = 0
    SNAPSHOT = 1
    UPDATE = 2
    TRADE = 3
    QUOTE = 4
    REPORT = 5
    SESSION = 6
    REFRESH = 7
    CHECK = 8
    ALIVE = 9
    MISSED = 10

class ChecksumRule(IntEnum):
    NO_CHECKSUM = 0
    KRAKEN_CHECKSUM = 1
    OKX_CHECKSUM = 2
    BITFINEX_CHECKSUM = 3

class OrderType(IntEnum):
    LIMIT = 1
    MARKET = 2

class TimeInForce(IntEnum):
    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4

class OrderFlag(IntEnum):
    POST_ONLY = 1

class OrderStatus(IntEnum):
    CREATED = 0
    DENIED = 1
    PENDING_NEW = 2
    NEW = 3
    PARTIAL = 4
    PENDING_CANCEL = 5
    PENDING_REPLACE = 6
    IN_DOUBT = 7
    FILLED = 8
    CANCELED = 9
    REJECTED = 10
    EXPIRED = 11

class ExecType(IntEnum):
    REPORT_SENT = 1
    REPORT_NOT_SENT = 2
    REPORT_NEW = 3
    REPORT_FILL = 4
    REPORT_CANCELED = 5
    REPORT_REJECTED = 6
    REPORT_EXPIRED = 7
    REPORT_CANCEL_REJECTED = 8
    REPORT_IN_DOUBT = 9
    REPORT_STATUS = 10
    REPORT_ASKED = 11

class Liquidity(IntEnum):
    UNKNOWN_LIQUIDITY = 0
    MAKER = 1
    TAKER = 2

class ChildKind(IntEnum):
    NEW_ORDER = 1
    CANCEL_ORDER = 2
    ASK_ORDER = 3
    FORGET_ORDER = 4
    ADOPT_ORDER = 5

class ParentKind(IntEnum):
    SUBMIT_PARENT = 1
    CANCEL_PARENT = 2

class ParentStatus(IntEnum):
    PARENT_WORKING = 1
    PARENT_CANCELLING = 2
    PARENT_DONE = 3
    PARENT_ENDED_IN_DOUBT = 4
    PARENT_DENIED = 5

class Algorithm(IntEnum):
    IMMEDIATE = 1

class TradingState(IntEnum):
    HALTED = 0
    REDUCING = 1
    ACTIVE = 2

class Reason(IntEnum):
    OK = 0
    QUANTITY_NOT_POSITIVE = 1
    QUANTITY_OFF_LOT = 2
    QUANTITY_BELOW_MINIMUM = 3
    QUANTITY_EXCEEDS_MAXIMUM = 4
    NOTIONAL_BELOW_MINIMUM = 5
    NOTIONAL_EXCEEDS_MAXIMUM = 6
    PRICE_OFF_TICK = 7
    PRICE_NOT_POSITIVE = 8
    PRICE_OUTSIDE_COLLAR = 9
    NO_REFERENCE_PRICE = 10
    EXCEEDS_PARENT = 11
    POSITION_EXCEEDS_MAXIMUM = 12
    TRADING_HALTED = 13
    TRADING_REDUCING = 14
    TABLE_FULL = 15
    JOURNAL_FAILED = 16
    BOOK_NOT_LIVE = 17
    EPOCH_CHANGED = 18
    RATE_LIMITED = 19
    DEADLINE_PASSED = 20
    NOT_CONNECTED = 21
    ENCODE_FAILED = 22
    UNKNOWN_LISTING = 23
    LISTING_HALTED = 24
    INSUFFICIENT_FUNDS = 25
    POST_ONLY_WOULD_TAKE = 26
    UNKNOWN_ORDER = 27
    DUPLICATE_ORDER = 28
    CLOCK_SKEW = 29
    PERMISSION = 30
    EXCHANGE_RULE = 31
    EXCHANGE_OTHER = 32
    END_TIME = 33
    NO_LIQUIDITY = 34
    BELOW_MINIMUM_REMAINS = 35
    CANCELLED_BY_USER = 36
    LAGGED = 37
    UNKNOWN_OUTCOME = 38
    SELF_TRADE = 39
    CAPITAL_EXCEEDED = 40
    NEVER_ACCEPTED = 64
    RESTARTED = 65

class CommandKind(IntEnum):
    CONNECTION_OPENED = 1
    CONNECTION_ENDED = 2
    SEND_FRAME = 3
    SNAPSHOT_BODY = 4
    CLOSE_CONNECTION = 5
    SET_TRADING_STATE = 6
    SNAPSHOT_FAILED = 7
    TRADING_READY = 9
    KEEP_ALIVE = 8
    ORDER_BODY = 10
    ORDER_ASKED = 11

class BodyKind(IntEnum):
    ORDER_STATE = 1
    ORDER_LIST = 2
    ORDER_TRADES = 3

class Role(IntEnum):
    MARKET_DATA = 0
    ORDERS = 1

class InputKind(IntEnum):
    INPUT_WAKE = 1
    INPUT_REPORT = 2
    INPUT_PARENT = 3
    INPUT_COMMAND = 4
    INPUT_TIMER = 5
    BOARD_READ = 6

class EventKind(IntEnum):
    SESSION_FRAME = 1
    SNAPSHOT_NEEDED = 2
    BOOK_CHANGED = 3
    CONNECTION_LOST = 4
    TRANSPORT_RELEASED = 5
    FRAME_REFUSED = 6
    REPORTS_FULL = 7
    LINE_CHANGED = 8
    ORDER_QUESTION = 9

class LossReason(IntEnum):
    PEER_CLOSED = 1
    TRANSPORT_FAILED = 2
    PROTOCOL_BROKEN = 3
    FRAME_UNREADABLE = 4
    ASKED_TO_CLOSE = 5
    OUTPUT_FULL = 6
    NOTHING_HEARD = 7

class RecordedKind(IntEnum):
    RECORDED_FRAME = 1
    RECORDED_OPENED = 2
    RECORDED_LOST = 3
    RECORDED_SNAPSHOT = 4
    RECORDED_SILENCE = 5

class TapeKind(IntEnum):
    TAPE_SNAPSHOT = 1
    TAPE_UPDATE = 2
    TAPE_TRADE = 3
    TAPE_STATE = 4
    TAPE_CHECK = 5

CHILD_ORDER_DTYPE: np.dtype[np.void]
COMMAND_DTYPE: np.dtype[np.void]
EVENT_DTYPE: np.dtype[np.void]
EXECUTION_REPORT_DTYPE: np.dtype[np.void]
INPUT_RECORD_DTYPE: np.dtype[np.void]
LEVEL_DTYPE: np.dtype[np.void]
LISTING_DTYPE: np.dtype[np.void]
MESSAGE_DTYPE: np.dtype[np.void]
PARENT_ORDER_DTYPE: np.dtype[np.void]
PARENT_REPORT_DTYPE: np.dtype[np.void]
RECORDED_DTYPE: np.dtype[np.void]
SIGNALS_DTYPE: np.dtype[np.void]
TAPE_DTYPE: np.dtype[np.void]
WAKE_DTYPE: np.dtype[np.void]

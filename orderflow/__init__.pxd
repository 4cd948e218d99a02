"""What a strategy of your own cimports: `from orderflow cimport Strategy, StrategyContext, submit`."""
from orderflow._core.strategy cimport (
    STRATEGY_ORDERS, Strategy, StrategyContext, cancel, halt, replace, rest_at, submit, submit_at)
from orderflow._core.types cimport (
    BOARD_DEPTH, Algorithm, BoardEntry, BookFault, BookState, Level, Listing, OrderFlag, ParentKind, ParentOrder,
    ParentReport, ParentStatus, Reason, Side, Signals)

"""What a strategy of your own cimports: `from orderflow cimport Strategy, StrategyContext, submit`."""
from orderflow._core.strategy cimport STRATEGY_ORDERS, Strategy, StrategyContext, submit, submit_at
from orderflow._core.types cimport (
    BOARD_DEPTH, Algorithm, BoardEntry, BookFault, BookState, Level, Listing, ParentKind, ParentOrder, ParentReport,
    ParentStatus, Reason, Side, Signals)

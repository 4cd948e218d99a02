"""A look at the books of one instrument, nothing traded: what `estimate` and `consolidated` answer their question with.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orderflow.cli import output
from orderflow.cli.application import BadUsage, CheckFailed

if TYPE_CHECKING:
    from orderflow.config import Settings
    from orderflow.research.market_data import MarketData

#: Books that are not LIVE by then are left out.
PATIENCE_S = 30.0

Found = TypeVar("Found")


def look(configuration: Path, instrument: str, seconds: float,
         answer: Callable[[MarketData, Settings], Found]) -> Found:
    """What `answer` makes of the books, after they were looked at for a while.

    Raises
    ------
    BadUsage
        There is no such instrument, or `answer` was asked for something that is wrong (ValueError).
    CheckFailed
        No exchange can be reached, or the books do not allow an answer (EstimateError).
    """
    from orderflow.cli.record import market_data
    from orderflow.config import load
    from orderflow.estimate import EstimateError
    from orderflow.problems import EngineError

    settings = load(configuration)
    problems: list[str] = []
    data = market_data(settings, problems.append, {})
    try:
        data.start()
        if instrument not in data.instruments:
            raise BadUsage(f"INSTRUMENT {instrument}: there are {', '.join(data.instruments)}")
        _watch(data, instrument, seconds)
        found = answer(data, settings)
    except EngineError as error:
        raise CheckFailed(str(error)) from None
    except EstimateError as error:
        raise CheckFailed("; ".join([str(error), *problems])) from None
    except ValueError as error:
        raise BadUsage(str(error)) from None
    finally:
        data.stop()
    for problem in problems:
        output.warn(problem)
    return found


def _watch(data: MarketData, instrument: str, seconds: float) -> None:
    """Until its books are LIVE, and then for a while."""
    began = time.monotonic()
    indices = data.instruments[instrument].listings
    data.run(PATIENCE_S, lambda: all(data.book_state(index) == "LIVE" for index in indices))
    data.run(max(0.0, seconds - (time.monotonic() - began)))

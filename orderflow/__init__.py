"""Algorithmic order router for many exchanges.

The public names below are loaded when they are first used, so that `import orderflow` costs next to nothing.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orderflow._core.strategy import Strategy
    from orderflow._core.types import Algorithm, BookFault, BookState, ParentStatus, Reason, Side
    from orderflow.config import ConfigError, Settings, load
    from orderflow.engine import Engine
    from orderflow.instrument import Instrument, Listing
    from orderflow.limits import ExchangeLimits, Limits, RiskLimits, StrategyLimits, TotalLimits
    from orderflow.parents import ParentState
    from orderflow.problems import EngineError
    from orderflow.research.books import books
    from orderflow.research.captures import read_capture
    from orderflow.research.simulation import Simulation, simulate
    from orderflow.research.tape import Tape, tape
    from orderflow.research.volume import volume_curve, volume_curves

__version__ = "0.1.0"

__all__ = ["Algorithm", "BookFault", "BookState", "ConfigError", "Engine", "EngineError", "ExchangeLimits",
           "Instrument", "Limits", "Listing", "ParentState", "ParentStatus", "Reason", "RiskLimits", "Settings", "Side",
           "Simulation", "Strategy", "StrategyLimits", "Tape", "TotalLimits", "books", "load", "read_capture",
           "simulate", "tape", "volume_curve", "volume_curves"]

_HOMES = {
    "_core.strategy": ("Strategy",),
    "_core.types": ("Algorithm", "BookFault", "BookState", "ParentStatus", "Reason", "Side"),
    "config": ("ConfigError", "Settings", "load"),
    "engine": ("Engine",),
    "instrument": ("Instrument", "Listing"),
    "limits": ("ExchangeLimits", "Limits", "RiskLimits", "StrategyLimits", "TotalLimits"),
    "parents": ("ParentState",),
    "problems": ("EngineError",),
    "research.books": ("books",),
    "research.captures": ("read_capture",),
    "research.simulation": ("Simulation", "simulate"),
    "research.tape": ("Tape", "tape"),
    "research.volume": ("volume_curve", "volume_curves"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

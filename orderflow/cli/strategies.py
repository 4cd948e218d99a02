"""The strategies of a configuration: found before anything connects, made as soon as the instruments are known."""
from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from orderflow.config import ConfigError, Settings, StrategySettings

if TYPE_CHECKING:
    from orderflow.instrument import Instrument

METHODS = ("on_signal", "on_report", "on_timer")


def makers(settings: Settings, folder: Path) -> Callable[[dict[str, Instrument]], list]:
    """What makes the strategies out of the instruments by name.

    Classes are looked for where Python looks, and before that in `folder`, where the configuration is. ConfigError
    names the key of what cannot be used.
    """
    each = [_dislocation(f"strategies.{name}.parameters", strategy) if strategy.use == "dislocation"
            else _own(f"strategies.{name}", strategy, folder) for name, strategy in settings.strategies.items()]
    return lambda instruments: [make(instruments) for make in each]


def _dislocation(key: str, strategy: StrategySettings) -> Callable[[dict[str, Instrument]], object]:
    from orderflow._core.strategies.dislocation import Dislocation
    from orderflow.config import dislocation
    from orderflow.instrument import to_scaled

    parameters = dislocation(key, strategy)

    def make(instruments: dict[str, Instrument]) -> object:
        item = instruments.get(parameters.instrument)
        if item is None:
            raise ConfigError(f"{key}.instrument: {parameters.instrument!r} is not traded; there are "
                              f"{', '.join(instruments)}")
        try:
            return Dislocation(item.index, item.quantity(parameters.maximum_quantity),
                               to_scaled(parameters.edge, 8, "edge"), int(parameters.leg_seconds * 1e9),
                               to_scaled(parameters.band, 8, "band"),
                               to_scaled(parameters.unwind_band, 8, "unwind_band"), parameters.attempts)
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from None

    return make


def _own(key: str, strategy: StrategySettings, folder: Path) -> Callable[[dict[str, Instrument]], object]:
    from orderflow._core.strategy import Strategy

    found = _found(key, strategy.use, folder)
    native = isinstance(found, type) and issubclass(found, Strategy)
    if not native and not any(callable(getattr(found, method, None)) for method in METHODS):
        raise ConfigError(f"{key}.use: {strategy.use} has none of {', '.join(METHODS)}")
    try:
        if not native:                      # what Cython compiles does not always tell its arguments
            inspect.signature(found).bind(**strategy.parameters)
        made = found(**strategy.parameters)
    except Exception as error:              # whatever somebody else's class raises
        raise ConfigError(f"{key}.parameters: {strategy.use} does not take them: "
                          f"{error or type(error).__name__}") from None
    return lambda _: made


def _found(key: str, use: str, folder: Path) -> type:
    module, _, attribute = use.partition(":")
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:              # whatever somebody else's module raises
        raise ConfigError(f"{key}.use: {use} cannot be imported: {error or type(error).__name__}") from None
    finally:
        sys.path.remove(str(folder.resolve()))
    if not isinstance(found, type):
        raise ConfigError(f"{key}.use: {use} is not a class")
    return found

"""The bars that a benchmark run is held to, in the order in which they were measured."""

BARS = []


def bar(name: str, measured: float, gate: float, aim: float, better: str, unit: str = "x") -> bool:
    """Record one measurement beside its gate and its aim; returns whether the gate is met.

    `better` says which way is good: "higher" or "lower".
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"better={better!r}: expected 'higher' or 'lower'")
    met = measured >= gate if better == "higher" else measured <= gate
    BARS.append(
        {"name": name, "measured": measured, "gate": gate, "aim": aim, "better": better, "unit": unit, "met": met})
    return met


def note(name: str, measured: float, unit: str) -> None:
    """Record a measurement for information: nothing is asked of it."""
    BARS.append(
        {"name": name, "measured": measured, "gate": None, "aim": None, "better": "", "unit": unit, "met": True})

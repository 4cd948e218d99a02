"""Exact decimals: scaled integers inside the simulator, text on its wire.

Not the client's conversions (instrument.py): an exchange that shared them would share their mistakes, and go on as if
nothing were wrong. This one refuses what a real exchange refuses: exponents, signs in odd places, digits too many.
"""


def decimals_of(text: str) -> int:
    """Digits after the point, as written."""
    return len(text.partition(".")[2])


def to_scaled(text: str, decimals: int) -> int:
    """Decimal text as an integer scaled by 10**decimals. ValueError where it is no plain decimal or does not fit."""
    negative = text.startswith("-")
    whole, point, fraction = text.removeprefix("-").partition(".")
    if not (whole + fraction).isdigit() or not (whole + fraction).isascii() or (point and not fraction):
        raise ValueError(f"{text!r} is not a decimal number")
    if len(fraction) > decimals:
        if fraction[decimals:].strip("0"):
            raise ValueError(f"{text!r} is finer than {decimals} decimals")
        fraction = fraction[:decimals]
    value = int(whole + fraction.ljust(decimals, "0"))
    return -value if negative else value


def to_text(value: int, decimals: int) -> str:
    """Scaled integer as decimal text, all decimals written: to_text(1500, 3) == "1.500"."""
    sign = "-" if value < 0 else ""
    if decimals == 0:
        return f"{value}"
    digits = f"{abs(value):0{decimals + 1}d}"
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"

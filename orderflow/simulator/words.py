"""Times and JSON as text."""
import json
from datetime import UTC, datetime

from orderflow.simulator.exchange import SECOND_NS


def timestamp(now_ns: int) -> str:
    """RFC 3339 with microseconds."""
    seconds, rest = divmod(now_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def unix_ns(text: str) -> int:
    """A time in RFC 3339 as unix nanoseconds; ValueError where it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return (int(moment.timestamp()) * 1_000_000 + moment.microsecond) * 1_000


class Digits(str):
    """A number whose digits are to be written as they are."""


def spell(value) -> str:
    """JSON without spaces, where Digits are numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{spell(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(spell, value)) + "]"
    return str(value) if isinstance(value, Digits) else json.dumps(value, ensure_ascii=False)

"""Times as text."""
from datetime import UTC, datetime

from orderflow.simulator.exchange import SECOND_NS


def timestamp(now_ns: int) -> str:
    """RFC 3339 with microseconds."""
    seconds, rest = divmod(now_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"

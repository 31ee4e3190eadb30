"""Text forms of what a status holds: times, decimals, counts, cut messages. Rendering never raises."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from modelrollout.api.scalars import MAX_COUNT

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_999  # end of the year 9999
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?", re.ASCII)


def render_time(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds; what is no time of our era becomes its nearest end."""
    if not seconds > 0:  # also NaN
        return "1970-01-01T00:00:00.000Z"
    milliseconds = _LAST_MS if seconds >= _LAST_MS / 1000 else round(seconds * 1000)
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render_number(value: float | None) -> str | None:
    """Shortest decimal that reads back as the same number; None for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return None
    return repr(float(value)).removesuffix(".0")


def parse_number(text: str) -> float | None:
    """The number, or None when the text is none."""
    if len(text) > 32 or not _DECIMAL.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def render_count(value: int, *, least: int = 0) -> int:
    """A whole number that the API server takes for a count."""
    return min(max(int(value), least), MAX_COUNT)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, valid as UTF-8; an ellipsis where something was cut and there is room for one."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…" if limit else ""
    return short.encode("utf-8", "replace").decode()

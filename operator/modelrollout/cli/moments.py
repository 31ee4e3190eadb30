"""Times as people write them on a command line."""

from __future__ import annotations

import re
from math import isfinite

_AGO = re.compile(r"now(?:-(?P<ago>(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+))?")
HELP = "write 2026-11-21T18:25:00Z, epoch seconds, now, or now-2h"


def parse_moment(text: str, now: float) -> float:
    """Epoch seconds of an RFC 3339 time with its zone, of epoch seconds, or of `now` less a duration.

    Raises ValueError with the forms that there are.
    """
    from modelrollout.api.reading import epoch
    from modelrollout.api.scalars import parse_duration

    ago = _AGO.fullmatch(text)
    if ago:
        return now - (parse_duration(ago["ago"]) if ago["ago"] else 0.0)
    try:
        at = float(text)
    except ValueError:
        moment = epoch(text)
        if moment is None:
            raise ValueError(f"{text!r} is no time; {HELP}") from None
        return moment
    if not isfinite(at) or at < 0:
        raise ValueError(f"{text!r} is no time; {HELP}")
    return at

"""Times as people read them: how long ago."""

from __future__ import annotations

from modelrollout.core.wording import duration


def ago(moment: float | None, now: float, *, ending: str = " ago") -> str:
    """`3m ago`, or a dash."""
    return "-" if moment is None else f"{duration(max(0.0, now - moment))}{ending}"

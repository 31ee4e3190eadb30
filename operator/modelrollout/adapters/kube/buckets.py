"""Expressions for buckets: which of "0000" to "9999" are below a weight, and which weight an expression says. Pure.

A gateway can't hash a user, but it can compare a header with an expression. Callers put the user's bucket
(`core.assignment`) there, as four digits; as many buckets as weights make every weight exact.

Only what all dialects share is used: classes, counts, a group and anchors. Anchors, since some gateways look for the
expression anywhere in the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelrollout.core.model import FULL, ZERO, Weight

DIGITS = 4
NOBODY = "^none$"
"""Matches no bucket."""
ANYBODY = "^[0-9]{4}$"
"""Matches every bucket, and is none of `below`."""

_LAST = re.compile(r"(?P<digits>[0-9]{0,3}?)(?:\[0-(?P<upto>[1-9])\]|(?P<zero>0))(?P<rest>(?:\[0-9\](?:\{[23]\})?)?)")


def below(weight: Weight) -> str:
    """The expression for buckets below `weight` (0 to 10000). At most 56 characters."""
    return f"^(?:{'|'.join(_alternatives(weight))})$" if weight > ZERO else NOBODY


def weight_of(expression: str) -> Weight | None:
    """The weight whose `below` this is; None for any other text."""
    if expression == NOBODY:
        return ZERO
    last = _LAST.fullmatch(expression.removeprefix("^(?:").removesuffix(")$").rpartition("|")[2])
    if last is None:
        return None
    free = DIGITS - len(last["digits"]) - 1
    found = (int(last["digits"] or 0) * 10 + int(last["upto"] or 0) + 1) * 10**free
    return Weight(found) if ZERO < found <= FULL and below(Weight(found)) == expression else None


def _alternatives(weight: Weight) -> Iterator[str]:
    """One for each digit of the weight that is not 0: the same digits before it, a smaller one, anything after it."""
    if weight >= FULL:
        yield _any(DIGITS - 1, "[0-9]")
        return
    digits = f"{weight:0{DIGITS}d}"
    for place, digit in enumerate(digits):
        if digit != "0":
            smaller = "0" if digit == "1" else f"[0-{int(digit) - 1}]"
            yield _any(DIGITS - place - 1, digits[:place] + smaller)


def _any(count: int, before: str) -> str:
    return before + ("" if count == 0 else "[0-9]" if count == 1 else f"[0-9]{{{count}}}")

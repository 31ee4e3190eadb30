"""A value that a regular expression matches, for labels of simulated pods."""

from __future__ import annotations

import re
import string

_SETS = {"d": "0", "D": "a", "w": "a", "W": "-", "s": " ", "S": "a"}
_TOKEN = re.compile(r"\\.|\[\^?[^\]]*\]|\((?:\?:)?|[).|*+?]|[^\\\[().|*+?]", re.DOTALL)


def example(pattern: str) -> str | None:
    """Text that the whole of `pattern` matches: of alternatives the first, of repeats one. None where none is found."""
    text = _first(_TOKEN.findall(pattern))
    try:
        return text if re.fullmatch(pattern, text) else None
    except re.error:
        return None


def _first(tokens: list[str]) -> str:
    """The text of the first alternative, at every depth."""
    out: list[str] = []
    skipping: list[bool] = [False]
    for token in tokens:
        if token.startswith("(") and len(token) in (1, 3):
            skipping.append(skipping[-1])
        elif token == ")":
            if len(skipping) > 1:
                skipping.pop()
        elif token == "|":
            skipping[-1] = True
        elif token not in ("*", "+", "?") and not skipping[-1]:
            out.append(_one(token))
    return "".join(out)


def _one(token: str) -> str:
    if token.startswith("\\"):
        return _SETS.get(token[1:], token[1:])
    if token.startswith("["):
        tried = token[2:-1] + string.printable if token.startswith("[^") else token[1:-1]
        return next((each for each in tried if _matches(token, each)), "")
    return "x" if token == "." else token


def _matches(token: str, text: str) -> bool:
    try:
        return re.fullmatch(token, text) is not None
    except re.error:
        return False

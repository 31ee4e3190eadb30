"""Values that mean harm, put into objects and answers; and a strict reader of the queries that come out."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

PIECES = (
    *('"', "\\", "\n", "\r", "\x00", "\x1b[2J", "\x7f", "}", "{", "[5m]", "]", "|", "`", "'", "#", "$", "(", ")", "é"),
    *("😀", "\u202e", "\ufffd", "\u2028", '"} or up{a="', "=~", ",", " offset 1d", "$(id)", "%s", "{{.}}", "../", "-1"),
    *("http://127.0.0.1:9", "1e999", "NaN", "9" * 40, "a" * 300),
)
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=6).map("".join)
NUMBER = st.one_of(st.integers(), st.floats(), st.sampled_from((2**31, 2**63, -(2**63), 10**400, 0, -1)))
LEAF = st.one_of(TEXT, NUMBER, st.none(), st.booleans())
JSON = st.recursive(
    LEAF,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
# Deeper ones break the writer of failures: tests name them one by one.
DEEP = st.just(50).map(lambda depth: nested(depth))

Path = tuple[str | int, ...]


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of everything inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, value: Any, within: Path = ()) -> Any:
    """The value with one to three of its parts replaced, removed or added to."""
    out = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        found = [path for path in places(out) if path[: len(within)] == within and len(path) > len(within)]
        if not found:
            break
        path = draw(st.sampled_from(found))
        node = out
        for key in path[:-1]:
            node = node[key]
        match draw(st.sampled_from(("text", "json", "remove", "add", "deep"))):
            case "text":
                node[path[-1]] = draw(TEXT)
            case "json":
                node[path[-1]] = draw(JSON)
            case "remove":
                del node[path[-1]]
            case "add" if isinstance(node, dict):
                node[draw(TEXT)] = draw(JSON)
            case "deep":
                node[path[-1]] = draw(DEEP)
    return out


_STRING = re.compile(r'"((?:[^"\\\n]|\\[abfnrtv\\"]|\\u[0-9a-f]{4})*)"')
_MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(=|=~)("(?:[^"\\\n]|\\[abfnrtv\\"]|\\u[0-9a-f]{4})*")')
_RANGE = re.compile(r"\[([0-9]+)(ms|s)\]")
_ESCAPE = re.compile(r"\\(u[0-9a-f]{4}|.)")
_NAMED = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}


def text_of(literal: str) -> str:
    """The value of a PromQL string literal in double quotes."""
    return _ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "u" else _NAMED[m[1]], literal[1:-1])


def skeleton(query: str) -> str:
    """The query without what its string literals hold."""
    return _STRING.sub('""', query)


def selector(query: str) -> tuple[list[tuple[str, str, str]], float]:
    """Matchers and range, in seconds, of `{a="b",...}[1s]` and nothing else. Raises ValueError."""
    if not query.startswith("{"):
        raise ValueError(query)
    found = []
    at = 1
    while match := _MATCHER.match(query, at):
        found.append((match[1], match[2], text_of(match[3])))
        at = match.end()
        if query[at] != ",":
            break
        at += 1
    span = _RANGE.fullmatch(query, at + 1)
    if query[at] != "}" or span is None:
        raise ValueError(query)
    return found, int(span[1]) / (1000 if span[2] == "ms" else 1)

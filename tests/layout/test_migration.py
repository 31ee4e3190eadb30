"""The page for those who come from other tools: what it names as ours exists."""

from __future__ import annotations

import re

import pytest

from modelrollout.core.model import ActionVerb
from tests.layout.documents import DOCS

PAGE = DOCS / "how-to" / "migrate.md"
ROW = re.compile(r"^\| (?P<there>.+?) \| (?P<here>.+) \|$", re.MULTILINE)
TOKEN = re.compile(r"`([^`]+)`")
FIELD = re.compile(r"^\| `(?:spec|status)\.([\w.\[\]]+)`", re.MULTILINE)
VALUES = frozenset({"true", "false", "errors", "latency", "m", "ms"})
COMMANDS = frozenset({"abort", "approve", "explain", "lint", "promote", "retry", "-primary"})


def fields() -> set[str]:
    """Every field of a ModelRollout with all ends of its path: `analysis.noData.hold`, `noData.hold`, `hold`."""
    paths = FIELD.findall((DOCS / "reference" / "api.md").read_text())
    parts = [path.replace("[]", "").split(".") for path in paths]
    return {".".join(each[start:]) for each in parts for start in range(len(each))}


def named() -> list[str]:
    """What the page's right column calls ours, word by word: `steps: [{weight: 20}]` names two."""
    rows = ROW.findall(PAGE.read_text())
    tokens = [token for _, here in rows for token in TOKEN.findall(here) if not token.startswith("kubectl ")]
    return sorted({word for token in tokens for word in re.findall(r"[A-Za-z-][\w.-]*(?=:|$|[,}])", token)})


@pytest.mark.parametrize("word", named())
def test_a_field_that_is_named_as_ours_exists(word: str) -> None:
    known = fields() | COMMANDS | {verb.value for verb in ActionVerb}
    assert word in known | VALUES, word


def test_the_check_sees_fields() -> None:
    assert {"steps", "weight", "analysis.noData", "candidateDeadline", "traffic.segments", "Approve"} <= set(named())
    assert "stepWeights" not in fields()

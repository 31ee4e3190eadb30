"""`core` and `stats` are pure: what they may import is listed here, and nothing else passes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layout.documents import ROOT

PACKAGE = ROOT / "operator" / "modelrollout"

COMMON = {"__future__", "bisect", "collections", "dataclasses", "enum", "hashlib", "itertools", "math", "typing"}
ALLOWED = {
    "core": COMMON | {"modelrollout.core"},
    "stats": COMMON | {"array", "re", "functools", "numpy", "scipy.special", "modelrollout.core", "modelrollout.stats"},
}
FORBIDDEN_CALLS = {"open", "print", "input", "eval", "exec", "__import__"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def strangers(source: str, layer: str) -> list[str]:
    tree = ast.parse(source)
    allowed = ALLOWED[layer]
    foreign = [name for name in imported(tree) if not any(name == a or name.startswith(f"{a}.") for a in allowed)]
    return foreign + [name for name in called(tree) if name in FORBIDDEN_CALLS]


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_only_allowed_modules_are_imported(layer: str) -> None:
    sources = sorted((PACKAGE / layer).glob("*.py"))
    assert len(sources) > 5
    found = {path.name: bad for path in sources if (bad := strangers(path.read_text(), layer))}
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from datetime import datetime",
        "import random",
        "import os.path",
        "import logging",
        "import asyncio",
        "from scipy import stats",
        "import scipy.stats",
        "from . import model",
        "from modelrollout.runtime import queue",
        "def f() -> None:\n    import time",
        "open('x')",
    ],
)
def test_an_intruder_would_be_found(source: str) -> None:
    assert strangers(source, "core")
    assert strangers(source, "stats")


def names_bound_to_values(path: Path) -> Iterator[str]:
    """Module-level names bound to a list, dict or set display: state that could change."""
    for node in ast.parse(path.read_text()).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            yield from (t.id for t in targets if isinstance(t, ast.Name) and t.id != "__all__" and not t.id.isupper())


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_no_mutable_state_of_modules(layer: str) -> None:
    found = {
        p.name: names
        for p in (PACKAGE / layer).glob("*.py")
        if (names := [n for n in names_bound_to_values(p) if not n.lstrip("_").isupper()])
    }
    assert found == {}


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_dataclasses_are_frozen_and_have_slots(layer: str) -> None:
    loose = []
    for path in (PACKAGE / layer).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                for mark in node.decorator_list:
                    text = ast.unparse(mark)
                    if text.startswith("dataclass") and not ("frozen=True" in text and "slots=True" in text):
                        loose.append(f"{path.name}: {node.name}")
    assert loose == []

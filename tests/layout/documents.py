"""What the documentation consists of: pages, fenced blocks, links, commands. Read by the tests of this folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHELL = frozenset({"sh", "bash", "shell", "console"})

_FENCE = re.compile(
    r"^(?P<margin> *)(?P<fence>```+)(?P<language>\S*).*\n(?P<text>(?:.*\n)*?)(?P=margin)(?P=fence)[ \t]*$", re.MULTILINE
)
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
_CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: Path
    language: str
    text: str


def pages() -> list[Path]:
    """Every page that people read."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    return [*top, *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """How a failure names a page."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(page, m["language"], dedent(m["text"])) for m in _FENCE.finditer(page.read_text())]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Targets of links, as written."""
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """Anchors that the headings of a page make."""
    found = set()
    for match in _HEADING.finditer(prose(page)):
        words = re.sub(r"[^\w\- ]", "", match["text"].lower().replace("`", ""))
        found.add(words.replace(" ", "-"))
    return found


def resources() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Objects of our API in fenced YAML blocks."""
    for page in pages():
        for block in blocks(page):
            if block.language in ("yaml", "yml"):
                for obj in yaml.safe_load_all(block.text):
                    if isinstance(obj, dict) and str(obj.get("apiVersion", "")).startswith("modelrollout.dev/"):
                        yield page, obj


def commands() -> Iterator[tuple[Path, str]]:
    """Command lines of shell blocks; a line that ends in a backslash goes on in the next one."""
    for page in pages():
        for block in blocks(page):
            if block.language in SHELL:
                for line in _CONTINUED.sub(" ", block.text).splitlines():
                    command = line.split("  #")[0].strip()
                    if command and not command.startswith("#"):
                        yield page, command

"""A kubectl that answers as it is told and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """#!/bin/sh
# One answer per call, in order; the last one for all that follow.
cd "$(dirname "$0")" || exit 99
printf '%s\\n' "$*" >> calls
n=$(wc -l < calls | tr -d ' ')
[ -e "answer$n" ] || n=last
case "$*" in create*|*" create "*) cat > "input" ;; esac
cat "answer$n"
[ -e "said$n" ] && cat "said$n" >&2
[ -e "hangs$n" ] && exec sleep 600
exit "$(cat "code$n")"
"""


class FakeKubectl:
    """Put first on PATH by `install`."""

    def __init__(self, place: Path) -> None:
        self._place, self._count = place, 0
        script = place / "kubectl"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        self.answers("")

    @classmethod
    def install(cls, place: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
        place.mkdir()
        monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
        return cls(place)

    def answers(self, out: str, *, said: str = "", code: int = 0, hangs: bool = False) -> None:
        """What the next call prints, and all later ones until there is another answer."""
        for name in (str(self._count), "last") if self._count else ("last",):
            (self._place / f"answer{name}").write_text(out)
            (self._place / f"code{name}").write_text(str(code))
            (self._place / f"said{name}").write_text(said)
            (self._place / f"hangs{name}").unlink(missing_ok=True)
            if hangs:
                (self._place / f"hangs{name}").touch()
        self._count += 1

    def finds(self, obj: Mapping[str, Any]) -> None:
        self.answers(json.dumps(obj, indent=4) + "\n")

    def sees(self, *events: tuple[str, Mapping[str, Any]], hangs: bool = True) -> None:
        """What a watch prints; afterwards it stays open, or the server ends it."""
        self.answers(events_text(*events), hangs=hangs)

    @property
    def calls(self) -> list[str]:
        calls = self._place / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    @property
    def input(self) -> dict[str, Any]:
        found = json.loads((self._place / "input").read_text())
        assert isinstance(found, dict)
        return found


def events_text(*events: tuple[str, Mapping[str, Any]], indent: int | None = None) -> str:
    """As kubectl prints a watch: a line each, without blanks."""
    separators = (",", ":") if indent is None else None
    objects = [{"type": kind, "object": obj} for kind, obj in events]
    return "".join(json.dumps(each, indent=indent, separators=separators) + "\n" for each in objects)

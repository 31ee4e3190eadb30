"""The catalogue as a part of its reference page.

`python -m modelrollout.catalog.page --write docs/reference/profiles.md` puts it between the marks there, `--check`
fails when something else stands between them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from modelrollout.catalog import wording
from modelrollout.catalog.profiles import Arms, Entry, LatencyEntry, Profile
from modelrollout.catalog.reading import builtin

BEGIN = "<!-- made by `make profiles` from operator/modelrollout/catalog/data: begin -->"
END = "<!-- end of what is made -->"
TOLD = {
    Arms.PODS: "pod names",
    Arms.LABEL: "a label",
    Arms.NONE: "can't be told apart: dashboards only",
}


def text() -> str:
    """The part between the marks, Markdown, with both marks."""
    profiles = builtin().profiles.values()
    overview = [
        "| server | SLIs | arms are told apart by | for dashboards |",
        "|---|---|---|---|",
        *(f"| [{p.server}](#{p.server}) | {_names(p.slis)} | {TOLD[p.arms]} | {_names(p.display)} |" for p in profiles),
    ]
    parts = ["\n".join(overview), *(section(profile) for profile in profiles)]
    return f"{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}\n"


def section(profile: Profile) -> str:
    """One server."""
    return "\n\n".join(_paragraphs(profile))


def _paragraphs(profile: Profile) -> Iterator[str]:
    yield f"### {profile.server}"
    needs = f" Needs: {profile.needs}." if profile.needs else ""
    yield f"{profile.summary}.{needs}"
    if profile.slis:
        rows = [_row(profile, name, entry) for name, entry in profile.slis.items()]
        yield "\n".join(["| profile | threshold | bad is | total | bad |", "|---|---|---|---|---|", *rows])
    if profile.hint:
        label = f" (usual label: `{profile.label}`)" if profile.label else ""
        yield f"Arms{label}: {_escaped(profile.hint)}."
    for name, reason in profile.without.items():
        yield f"No `{name}`: {reason}."
    if profile.display:
        shown = [f"`{wording.counter(each.metric)}` ({name})" for name, each in profile.display.items()]
        yield f"For dashboards: {'; '.join(shown)}."
    if profile.notes:
        yield "\n".join(f"- {_escaped(note)}" for note in profile.notes)
    unverified = [n for n, each in (*profile.slis.items(), *profile.display.items()) if not each.verified]
    checked = f" **Not checked against a source: {', '.join(unverified)}.**" if unverified else ""
    yield f"Names from: {'; '.join(profile.sources)}.{checked}"


def _row(profile: Profile, name: str, entry: Entry) -> str:
    threshold = "required" if isinstance(entry, LatencyEntry) else "not allowed"
    cells = (
        f"`{profile.server}/{name}`",
        threshold,
        entry.summary,
        _code(wording.total(entry)),
        _code(wording.bad(entry)),
    )
    return f"| {' | '.join(cells)} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"


def _code(words: str) -> str:
    """Code in a cell, where a bar would end it."""
    return f"`{words.replace('|', chr(92) + '|')}`"


def _escaped(words: str) -> str:
    """Angle brackets are no tags here, nor braces and square brackets links."""
    return words.replace("<", "&lt;").replace(">", "&gt;").replace("[", "\\[").replace("]", "\\]")


def main(argv: Sequence[str] | None = None) -> int:
    """Write or compare; 1 when the page is not current."""
    parser = argparse.ArgumentParser(prog="python -m modelrollout.catalog.page", description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", type=Path, metavar="FILE", help="put the catalogue between the marks of this page")
    mode.add_argument("--check", type=Path, metavar="FILE", help="fail when what stands there is not current")
    options = parser.parse_args(argv)
    page: Path = options.write or options.check
    before = page.read_text(encoding="utf-8")
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END + "\n")
    if not (begin and end):
        print(f"{page}: lacks the lines {BEGIN} and {END}", file=sys.stderr)
        return 1
    wanted = head + text() + tail
    if options.write:
        page.write_text(wanted, encoding="utf-8")
        return 0
    if wanted != before:
        print(f"{page}: is not current; run `make profiles` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

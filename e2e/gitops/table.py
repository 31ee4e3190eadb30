"""Situations of a rollout against what Argo CD, kstatus and Flux say, as observed; and the page that tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.gitops.readers import FLUX, KSTATUS, View, views
from e2e.gitops.scripts import stories
from e2e.gitops.stories import Recording, record
from modelrollout.adapters.kube.resources import Body
from modelrollout.core.model import Phase

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "gitops-health.md"
SAME: Mapping[str, str] = {
    "Healthy": "Current",
    "Degraded": "Failed",
    "Progressing": "InProgress",
    "Suspended": "InProgress",
}
"""What kstatus calls a health of Argo CD."""
UNSEEN, LEAVING = "not seen yet", "being deleted"
STALLED, NEXT = "stalled", "the next waits"
RUNNING = (Phase.PREFLIGHT, Phase.PROGRESSING, Phase.PAUSED)
MODES = {True: "true", False: "false"}

AFTER = """
Stalled: the condition `Stalled` is true, by a disputed route, a write that was refused, or a spec that can't be read.
The next waits: the phase still tells how the last revision ended, and the condition of that name is False, because the
spec asks for a revision that has not begun.

Where they differ:

- `blocking: false`, while checks or steps run or wait: kstatus says Current, so that a sync need not wait for hours.
  Argo CD and the expressions look at the phase and wait all the same.
- Deletion: kstatus has a word for it, the other two have not.
- Suspended is InProgress to the others: only Argo CD tells waiting for a person from waiting for the model.

Never seen: Healthy or Current in a tool that waits, before all traffic is at a candidate that was judged; or a story
that ends InProgress, but for those that wait for somebody:
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording and what is seen in each of its versions."""

    recording: Recording
    views: tuple[View, ...]


@dataclass(slots=True)
class Row:
    """What was seen in one situation: views, and the reasons that the statuses gave."""

    views: set[View] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)


def judged(directory: Path) -> list[Judged]:
    """All stories in both modes. `directory` is for files."""
    recordings = [record(name, blocking) for name in stories() for blocking in (True, False)]
    every = iter(views([seen.obj for one in recordings for seen in one.versions], directory))
    return [Judged(one, tuple(next(every) for _ in one.versions)) for one in recordings]


def conditions(obj: Body) -> dict[str, str]:
    """Status of each condition, by type."""
    return {each["type"]: each["status"] for each in (obj.get("status") or {}).get("conditions") or ()}


def situation(obj: Body) -> str:
    """The row of an object: its phase, or what stands before it."""
    status = obj.get("status") or {}
    if "deletionTimestamp" in obj["metadata"]:
        return LEAVING
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return UNSEEN
    phase = str(status.get("phase"))
    known = conditions(obj)
    if known.get("Stalled") == "True" and phase not in (Phase.ROLLED_BACK, Phase.INVALID):
        return f"{phase}, {STALLED}"
    return f"{phase}, {NEXT}" if known.get(phase) == "False" else phase


def rows(found: Iterable[Judged]) -> dict[tuple[str, bool], Row]:
    """By situation and mode."""
    out: dict[tuple[str, bool], Row] = defaultdict(Row)
    for one in found:
        for seen, view in zip(one.recording.versions, one.views, strict=True):
            where = situation(seen.obj)
            row = out[where, one.recording.blocking]
            row.views.add(view)
            if where not in (UNSEEN, LEAVING):
                row.reasons.add(str(seen.obj["status"].get("reason")))
    return out


def differs(view: View) -> bool:
    """Whether the three do not say the same."""
    return {view.kstatus, view.flux} != {SAME[view.argocd]}


def explained(where: str, blocking: bool, view: View) -> bool:
    """Whether the three may say different things there, as the page tells."""
    if view.flux != SAME[view.argocd]:
        return False
    if where == LEAVING:
        return view.kstatus == "Terminating"
    return not blocking and (where in RUNNING or where.endswith(NEXT)) and view.kstatus == "Current"


def order() -> list[str]:
    """Situations as the page has them."""
    alone = [phase.value for phase in Phase]
    return [UNSEEN, *(each for phase in alone for each in (phase, f"{phase}, {STALLED}", f"{phase}, {NEXT}")), LEAVING]


def page(found: Sequence[Judged]) -> str:
    """The page."""
    return "\n".join(_page(found)) + "\n"


def _page(found: Sequence[Judged]) -> Iterator[str]:
    table = rows(found)
    yield "# Health in GitOps tools\n"
    yield "<!-- Written by `make gitops`; a test compares it with what is observed. Do not edit. -->\n"
    yield (
        f"What each tool says of a ModelRollout, as observed in every version of {len(stories())} stories, each with\n"
        "`gitops.blocking` true and false: the operator itself in virtual time, from the creation to the end.\n"
        "Argo CD: our [health check](../how-to/gitops.md) in a Lua 5.1 interpreter. kstatus:"
        f" `fluxcd/cli-utils` {KSTATUS}. Flux: the\n"
        "expressions of [the example](../../examples/flux/kustomization.yaml) in"
        f" `fluxcd/pkg/runtime/cel` {FLUX}.\n"
    )
    yield "| situation | `blocking` | Argo CD | kstatus | Flux, with expressions | reasons seen |"
    yield "|---|---|---|---|---|---|"
    for where in order():
        both = [table.get((where, blocking), Row()) for blocking in (True, False)]
        if both[0].views == both[1].views:
            yield from _row(where, "either", Row(both[0].views, both[0].reasons | both[1].reasons))
        else:
            for blocking, row in zip((True, False), both, strict=True):
                yield from _row(where, MODES[blocking], row)
    yield AFTER
    yield "| story | waits for |\n|---|---|"
    yield from (f"| {story.name} | {story.waits} |" for story in stories().values() if story.waits)


def _row(where: str, mode: str, row: Row) -> Iterator[str]:
    if not row.views:
        return
    columns = [sorted({getattr(view, name) for view in row.views}) for name in ("argocd", "kstatus", "flux")]
    name = f"`{where.partition(',')[0]}`{where.partition(',')[1]}{where.partition(',')[2]}"
    cells = [where if where in (UNSEEN, LEAVING) else name, mode, *(" ".join(each) for each in columns)]
    reasons = " ".join(f"`{reason}`" for reason in sorted(row.reasons))
    yield "| " + " | ".join([*cells, reasons or "-"]) + " |"

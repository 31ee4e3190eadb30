"""What a ModelRollout remembers of one revision: how it ended, its course, its spec as far as it is still the same.

Nobody stores the spec of an earlier revision or the counts of its SLIs: the status has its decisions (20 newest of
all), its end (10 newest) and the sentences with the numbers of both. What is not stored is None with the reason, never
"the same".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.cli.fields import Fields, looked_at
from modelrollout.cli.rollout_report import limits
from modelrollout.core.observation import ArmCounts
from modelrollout.core.wording import counts, duration

LEGACY = "legacy"
"""Stands for the version that the candidate is compared with; it has no revision."""
OVER = ("Promoted", "RolledBack", "Idle", "Invalid")
"""Phases in which nothing is under way."""
NO_END = "only the 10 newest ends are kept"
NO_DECISION = "only the 20 newest decisions are kept"
NO_SPEC = "the API server keeps no earlier spec; see Git"
NO_COUNTS = "only the present revision's counts are kept; see course and message"
NOT_JUDGED = "legacy is what a candidate is held against"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text; None: not known, and why."""

    text: str | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One revision: cells by field, in the order of the page. `arm`: deployment and model, where they are known."""

    revision: str
    cells: dict[str, Cell]
    present: bool


def named(obj: Fields) -> list[str]:
    """The revisions that the object knows of, the one that was heard of last at the end."""
    status = obj.part("status")
    found = [each.text("revision") for key in ("history", "decisions") for each in status.items(key)]
    found = [each.text("revision") for each in status.items("rejectedRevisions")] + found + [status.text("revision")]
    latest = {revision: place for place, revision in enumerate(found) if revision}
    return sorted(latest, key=latest.__getitem__)


def chosen(obj: Fields, asked: Sequence[str]) -> tuple[str, str]:
    """The two revisions to compare, the older one first. Raises ValueError with the ones that there are."""
    known, present = named(obj), obj.part("status").text("revision")
    if not present:
        raise ValueError("no operator has looked at it yet, so there is no revision; is one running?")
    if len(asked) == 2:
        return _one(known, asked[0]), _one(known, asked[1])
    if asked:
        return _one(known, asked[0]), present
    ended = [each.text("revision") for each in obj.part("status").items("history")]
    earlier = [revision for revision in [*known, *ended] if revision != present]
    return (earlier[-1] if earlier else LEGACY), present


def _one(known: Sequence[str], asked: str) -> str:
    if asked == LEGACY:
        return LEGACY
    found = [revision for revision in known if revision.startswith(asked)] if asked else []
    if len(found) == 1 or asked in found:
        return asked if asked in found else found[0]
    what = "begins the names of several revisions" if found else "is no revision that is still known"
    raise ValueError(f"{asked!r} {what}; there are {', '.join(known)} and {LEGACY}")


def side(obj: Fields, revision: str) -> Side:
    """All that spec and status hold of this revision."""
    status = obj.part("status")
    present = revision == status.text("revision")
    cells = _course(obj, revision) | _setup(obj, revision, present=present) | _numbers(obj, revision, present=present)
    return Side(revision, cells, present)


def arm_of(obj: Fields, revision: str) -> Fields | None:
    """`legacy` or `candidate` of the spec, if it is the one that this revision ran with; None: not known."""
    if revision == LEGACY:
        return obj.part("spec", "legacy")
    return obj.part("spec", "candidate") if _same_spec(obj, revision) else None


def _same_spec(obj: Fields, revision: str) -> bool:
    """Whether the spec as it is now is the last one that this revision was decided on."""
    status = obj.part("status")
    if revision == status.text("revision") and looked_at(obj):
        return True
    seen = [each.count("generation") for each in status.items("decisions") if each.text("revision") == revision]
    return bool(seen) and seen[-1] == obj.part("metadata").count("generation")


def _course(obj: Fields, revision: str) -> dict[str, Cell]:
    if revision == LEGACY:
        return {name: Cell(None, NOT_JUDGED) for name in ("outcome", "reason", "message", "took", "course", "reached")}
    status = obj.part("status")
    mine = [each for each in status.items("decisions") if each.text("revision") == revision]
    ends = [each for each in status.items("history") if each.text("revision") == revision]
    present = revision == status.text("revision")
    if present and status.text("phase") not in OVER:
        ends = []  # Retried: its last end is not this one.
    end = ends[-1] if ends else Fields({})
    incident = status.part("incident")
    course = [f"{each.text('action') or '-'} {each.text('weight') or '-'} %" for each in mine]
    weights = [each.number("weight") or 0.0 for each in mine]
    weights += [incident.number("weight") or 0.0] if incident.text("revision") == revision else []
    began, ended = end.moment("startedAt"), end.moment("endedAt")
    took = duration(max(0.0, ended - began)) if began is not None and ended is not None else None
    under_way = Cell(status.text("phase") or None) if present else Cell(None, NO_END)
    return {
        "outcome": _text(end.text("outcome")) if ends else under_way,
        "reason": _text(end.text("reason") if ends else status.text("reason") if present else "", NO_END),
        "message": _text(end.text("message") if ends else status.text("message") if present else "", NO_END),
        "took": Cell(took, "" if took else "it has not ended" if present and not ends else NO_END),
        "course": _text(", ".join(course), "no decision was taken" if present else NO_DECISION),
        "reached": _text(f"{max(weights):g} %" if weights else "", NO_DECISION),
    }


def _setup(obj: Fields, revision: str, *, present: bool) -> dict[str, Cell]:
    arm = arm_of(obj, revision)
    spec = obj.part("spec")
    why = "the operator has not seen the present spec yet" if present else NO_SPEC
    if arm is None:
        return {name: Cell(None, why) for name in ("deployment", "model", "steps", "slis")}
    model = arm.part("model")
    told = {
        "deployment": _text(arm.text("deployment")),
        "model": _text(f"{model.text('name')} {model.text('version')}".strip(), "spec names none"),
    }
    if revision == LEGACY:
        return told | {name: Cell(None, NOT_JUDGED) for name in ("steps", "slis")}
    steps = [_step(each, spec) for each in spec.items("steps")]
    slis = [_sli(each) for each in spec.items("slis")]
    return told | {"steps": _text(", ".join(steps), "a ramp"), "slis": _text("; ".join(slis))}


def _step(step: Fields, spec: Fields) -> str:
    weight = step.number("weight")
    approval = " after an approval" if step.flag("approval") else ""
    return f"{'-' if weight is None else f'{weight:g}'} % for {limits(spec, step)[0]}{approval}"


def _sli(sli: Fields) -> str:
    parts = [sli.text("name"), sli.text("objective") and f"{sli.text('objective')} %"]
    parts.append(sli.text("threshold") and f"under {sli.text('threshold')}")
    return " ".join(filter(None, parts)) + (" (only watched)" if sli.flag("critical") is False else "")


def _numbers(obj: Fields, revision: str, *, present: bool) -> dict[str, Cell]:
    """Bad share and count per SLI, as last written."""
    found = {}
    for sli in obj.part("status").items("slis"):
        arm = sli.part("legacy" if revision == LEGACY else "candidate")
        total, bad = arm.count("total"), arm.count("bad")
        name = f"sli {sli.text('name')}"
        if not present and revision != LEGACY:
            found[name] = Cell(None, NO_COUNTS)
        elif total is None or bad is None:
            found[name] = Cell(None, "nothing counted")
        else:
            verdict = f", {sli.text('verdict')}" if present and sli.text("verdict") else ""
            found[name] = Cell(counts(ArmCounts(total=total, bad=bad)) + verdict)
    return found


def _text(found: str, why: str = "not told") -> Cell:
    return Cell(found) if found else Cell(None, why)

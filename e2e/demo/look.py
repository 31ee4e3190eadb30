"""What the demo shows at one moment: the rollout as stored, the operator's live numbers, and what users got."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_SAMPLE = re.compile(r"^(?P<name>[a-z_]+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sli:
    """One SLI: bad and all events per arm since the step began; burn in multiples of what is allowed."""

    name: str
    verdict: str
    legacy: tuple[int, int]
    candidate: tuple[int, int]
    burn: float | None
    spent: float | None


@dataclass(frozen=True, slots=True)
class Look:
    """One moment. Weights and shares in percent; `measured` is None until the load generator has an answer."""

    phase: str
    reason: str
    message: str
    step: str
    wanted: float
    measured: float | None
    slis: tuple[Sli, ...] = ()
    decisions: tuple[dict[str, Any], ...] = ()
    rates: dict[str, Any] = field(default_factory=dict)


def samples(text: str, namespace: str, rollout: str) -> list[tuple[str, dict[str, str], float]]:
    """The samples of one rollout out of an exposition text: (metric, labels, value)."""
    found = []
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match["labels"]))
        if labels.get("rollout_namespace") == namespace and labels.get("rollout") == rollout:
            found.append((match["name"], labels, float(match["value"])))
    return found


def look(
    status: dict[str, Any], metrics: str, summary: dict[str, Any], *, namespace: str, rollout: str, candidate: str
) -> Look:
    """Put the three sources together; `candidate` is the version whose share is measured."""
    live: dict[str, dict[str, float]] = {}
    for name, labels, value in samples(metrics, namespace, rollout):
        sli = labels.get("sli")
        if sli is None:
            continue
        key = f"{labels['arm']}-{labels['kind']}" if name == "modelrollout_sli_events" else name
        live.setdefault(sli, {})[key] = value
    slis = tuple(_sli(item, live.get(item["name"], {})) for item in status.get("slis") or [])
    versions = summary.get("versions") or {}
    answered = sum(v["answers"] for v in versions.values())
    measured = 100 * versions.get(candidate, {"answers": 0})["answers"] / answered if answered else None
    return Look(
        phase=status.get("phase", "-"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        step=(status.get("summary") or {}).get("step", "-"),
        wanted=float(status.get("weight") or 0),
        measured=measured,
        slis=slis,
        # Those of the revision before would be read as this one's.
        decisions=tuple(d for d in status.get("decisions") or () if d.get("revision") == status.get("revision")),
        rates=summary,
    )


def _sli(item: dict[str, Any], live: dict[str, float]) -> Sli:
    def pair(arm: str) -> tuple[int, int]:
        return int(live.get(f"{arm}-bad", 0)), int(live.get(f"{arm}-total", 0))

    return Sli(
        name=item["name"],
        verdict=item["verdict"],
        legacy=pair("legacy"),
        candidate=pair("candidate"),
        burn=live.get("modelrollout_sli_burn_rate"),
        spent=live.get("modelrollout_budget_spent_ratio"),
    )

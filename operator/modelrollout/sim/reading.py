"""Scenarios from YAML. Reference: docs/reference/scenarios.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import yaml

from modelrollout.core.model import ActionVerb, ProfileRef, RolloutSpec, Sli
from modelrollout.errors import SpecError
from modelrollout.sim.fields import Fields, number, problem, seconds, share
from modelrollout.sim.scenario import (
    BOTH,
    Act,
    ArmName,
    Change,
    ColdStart,
    Crashes,
    LateLabels,
    Onset,
    Outage,
    OutageKind,
    Scale,
    Scenario,
)
from modelrollout.sim.traffic import Constant, Curve, Diurnal, Piecewise, Ramp

MAX_RATE = 1e6
MAX_PODS = 50
MAX_DURATION = 30 * 86_400.0
_T = TypeVar("_T")


def read_scenario(text: str, spec: RolloutSpec, usual: Scenario | None = None) -> Scenario:
    """The scenario of a YAML text, for a rollout; what the text leaves open is as in `usual`.

    Raises SpecError that names field, value, bound and fix.
    """
    documents = list(_documents(text))
    if len(documents) != 1:
        raise SpecError(f"holds {len(documents)} YAML documents; must hold one")
    fields = Fields(documents[0], "")
    usual = usual or Scenario()
    read = _Read(spec)
    replicas = fields.inner("replicas") if fields.has("replicas") else Fields({}, "replicas")
    scenario = Scenario(
        name=fields.text("name", usual.name),
        traffic=_traffic(fields, usual.traffic),
        base=tuple(read.base(fields)),
        changes=(
            *read.changes(fields, "regressions", (ArmName.CANDIDATE,)),
            *read.changes(fields, "incidents", BOTH),
        ),
        late=tuple(read.late(fields)),
        outages=tuple(_outages(fields)),
        crashes=tuple(_crashes(fields)),
        scales=tuple(_scales(fields)),
        cold=tuple(read.cold(fields)),
        actions=tuple(Act(x.seconds("at"), _last(x, x.choice("action", ActionVerb))) for x in fields.each("actions")),
        restarts=tuple(seconds(x, f"operatorRestarts[{i}]") for i, x in enumerate(fields.items("operatorRestarts"))),
        dispersion=fields.number("dispersion", usual.dispersion, low=1.0, high=1000.0),
        duration=fields.seconds("duration", usual.duration, above_zero=True),
        seed=fields.whole("seed", usual.seed, low=0, high=2**63),
        replicas=(
            replicas.whole("legacy", usual.replicas[0], low=1, high=MAX_PODS),
            replicas.whole("candidate", usual.replicas[1], low=1, high=MAX_PODS),
        ),
        scrape=fields.seconds("scrapeInterval", usual.scrape, above_zero=True),
        settle=fields.seconds("settle", usual.settle),
        segments=fields.share("segments", usual.segments),
    )
    replicas.done()
    fields.done()
    if scenario.duration > MAX_DURATION:
        raise SpecError("duration: must be at most 720h; a longer rollout waits for a person anyway", field="duration")
    return scenario


class _Read:
    """Parts that name SLIs of a rollout."""

    def __init__(self, spec: RolloutSpec) -> None:
        self._spec = spec

    def sli(self, fields: Fields) -> Sli:
        """The SLI that a field names, by its own name or by that of its profile (errors, latency, accuracy)."""
        name = fields.text("sli", "")
        if not name:
            raise SpecError(f"{fields.path}.sli: must be set", field=fields.path)
        return self.named(name, f"{fields.path}.sli")

    def named(self, name: object, path: str) -> Sli:
        """The SLI of that name."""
        slis = self._spec.slis
        found = next((s for s in slis if s.name == name), None) or next(
            (s for s in slis if isinstance(s.source, ProfileRef) and s.source.sli == name), None
        )
        if found is None:
            names = ", ".join(s.name for s in slis)
            raise problem(path, name, f"must name an SLI of rollout {self._spec.key.name} ({names})")
        if found.allowed is None:
            raise problem(path, name, "must be an SLI with a total: nothing like it happens to virtual pods")
        return found

    def base(self, fields: Fields) -> Iterator[tuple[str, float]]:
        """Bad shares while nothing is wrong."""
        if not fields.has("base"):
            return
        value = fields.inner("base").mapping
        for name, each in value.items():
            yield self.named(name, f"base.{name}").name, share(each, f"base.{name}")

    def changes(self, fields: Fields, name: str, arms: tuple[ArmName, ...]) -> Iterator[Change]:
        """Regressions or incidents."""
        for each in fields.each(name):
            sli = self.sli(each)
            change = Change(
                sli.name,
                arms,
                _onset(each),
                ratio=each.number("ratio", 1.0, high=1e6),
                difference=each.share("difference", 0.0, low=-1.0),
                times=each.number("times", 1.0, low=0.01, high=1000.0),
            )
            each.done()
            if (change.ratio, change.difference, change.times) == (1.0, 0.0, 1.0):
                raise SpecError(f"{each.path}: changes nothing; set ratio, difference or times", field=each.path)
            if change.times != 1.0:
                _timed(each, sli)
            yield change

    def cold(self, fields: Fields) -> Iterator[ColdStart]:
        """Pods that are slow at first."""
        for each in fields.each("coldStarts"):
            sli = self.sli(each)
            _timed(each, sli)
            times = each.number("times", low=0.01, high=1000.0)
            yield _last(each, ColdStart(sli.name, times, each.seconds("lasts", above_zero=True)))

    def late(self, fields: Fields) -> Iterator[LateLabels]:
        """Labels that come late."""
        for each in fields.each("labels"):
            found = LateLabels(
                self.sli(each).name,
                each.seconds("delay"),
                each.seconds("spread", 0.0),
                each.share("share", 1.0),
            )
            each.done()
            yield found


def _timed(fields: Fields, sli: Sli) -> None:
    if sli.threshold is None:
        raise SpecError(
            f"{fields.path}.times: is for response times, {sli.name} has no threshold; use a regression with ratio or "
            "difference",
            field=fields.path,
        )


def _scales(fields: Fields) -> Iterator[Scale]:
    for each in fields.each("scale"):
        arm = each.choice("arm", ArmName, ArmName.CANDIDATE)
        yield _last(each, Scale(each.seconds("at"), arm, each.whole("replicas", 1, low=1, high=MAX_PODS)))


def _onset(fields: Fields) -> Onset:
    at, weight = 0.0, None
    if fields.has("from"):
        begin = fields.inner("from")
        at, weight = begin.seconds("at", 0.0), begin.weight("weight")
        begin.done()
    return Onset(at, weight, fields.seconds("lasts", float("inf"), above_zero=True))


def _traffic(fields: Fields, usual: Curve) -> Curve:
    if not fields.has("traffic"):
        return usual
    inner = fields.inner("traffic")
    kinds = [name for name in ("rate", "ramp", "diurnal", "points") if inner.has(name)]
    inner.done()
    if len(kinds) != 1:
        raise SpecError("traffic: must have one of rate, ramp, diurnal, points", field="traffic")
    match kinds[0]:
        case "rate":
            return Constant(inner.number("rate", high=MAX_RATE))
        case "ramp":
            ramp = inner.inner("ramp")
            return _last(
                ramp,
                Ramp(
                    ramp.number("start", high=MAX_RATE),
                    ramp.number("end", high=MAX_RATE),
                    ramp.seconds("over", above_zero=True),
                ),
            )
        case "diurnal":
            day = inner.inner("diurnal")
            return _last(
                day,
                Diurnal(
                    day.number("mean", high=MAX_RATE),
                    day.number("swing", high=1.0),
                    day.seconds("peak", 0.0),
                    day.seconds("period", 86_400.0, above_zero=True),
                ),
            )
    return _points(inner)


def _points(fields: Fields) -> Piecewise:
    points: list[tuple[float, float]] = []
    for index, each in enumerate(fields.items("points")):
        path = f"traffic.points[{index}]"
        if not isinstance(each, list) or len(each) != 2:
            raise problem(path, each, "must be a pair of time and requests a second, such as [10m, 40]")
        t = seconds(each[0], f"{path}[0]")
        if points and t <= points[-1][0]:
            raise problem(f"{path}[0]", each[0], "must be later than the point before")
        points.append((t, number(each[1], f"{path}[1]", low=0.0, high=MAX_RATE)))
    if not points:
        raise SpecError("traffic.points: must have a point", field="traffic.points")
    return Piecewise(tuple(points))


def _outages(fields: Fields) -> Iterator[Outage]:
    for each in fields.each("outages"):
        kind = each.choice("kind", OutageKind)
        start = each.seconds("at")
        arms = (each.choice("arm", ArmName),) if each.has("arm") else BOTH
        if len(arms) == 1 and kind in (OutageKind.DOWN, OutageKind.UNREACHABLE):
            raise SpecError(f"{each.path}.arm: has no meaning for kind {kind}; remove it", field=each.path)
        yield _last(each, Outage(kind, start, start + each.seconds("lasts", above_zero=True), arms))


def _crashes(fields: Fields) -> Iterator[Crashes]:
    for each in fields.each("crashes"):
        yield _last(
            each,
            Crashes(
                each.choice("arm", ArmName, ArmName.CANDIDATE),
                _onset(each),
                each.seconds("every", above_zero=True),
                each.seconds("downtime", above_zero=True),
            ),
        )


def _last(fields: Fields, value: _T) -> _T:
    """`value`, after a look for unknown fields."""
    fields.done()
    return value


def _documents(text: str) -> Iterator[object]:
    try:
        yield from yaml.safe_load_all(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise SpecError(f"is no YAML{where}") from None

"""Scenarios as YAML: every field is read; what is wrong is said with field, value, bound and fix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import ActionVerb, Weight
from modelrollout.errors import SpecError
from modelrollout.sim.reading import read_scenario
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
from tests.scene import make_spec
from tests.unit.sim.test_streams import ACCURACY, ERRORS, LATENCY

SPEC = make_spec(slis=(ERRORS, LATENCY, ACCURACY))
EVERYTHING = """
name: all
traffic: {diurnal: {mean: 20, swing: 0.5, peak: 2h}}
base: {errors: "0.5%", latency: "2%"}
regressions:
- {sli: errors, from: {weight: 25, at: 1m}, lasts: 5m, ratio: 3, difference: "1%"}
- {sli: latency, times: 1.4}
incidents:
- {sli: errors, from: {at: 10m}, difference: "5%"}
labels:
- {sli: accuracy, delay: 15m, spread: 1m, share: "90%"}
outages:
- {kind: nan, at: 5m, lasts: 1m, arm: candidate}
- {kind: down, at: 20m, lasts: 10m}
crashes:
- {from: {weight: "0.5"}, every: 30s, downtime: 10s, lasts: 1h}
scale:
- {at: 2m, replicas: 5}
coldStarts:
- {sli: latency, times: 6, lasts: 20s}
actions:
- {at: 3m, action: Pause}
operatorRestarts: [7m, 8m]
dispersion: 2.5
duration: 2h
seed: 9
replicas: {legacy: 3, candidate: 1}
scrapeInterval: 15s
settle: 500ms
segments: "1.5%"
"""


def test_everything() -> None:
    candidate = (ArmName.CANDIDATE,)
    assert read_scenario(EVERYTHING, SPEC) == Scenario(
        name="all",
        traffic=Diurnal(20.0, 0.5, 7200.0),
        base=(("errors", 0.005), ("latency", 0.02)),
        changes=(
            Change("errors", candidate, Onset(60.0, Weight(2500), 300.0), 3.0, 0.01),
            Change("latency", candidate, times=1.4),
            Change("errors", BOTH, Onset(600.0), difference=0.05),
        ),
        late=(LateLabels("accuracy", 900.0, 60.0, 0.9),),
        outages=(
            Outage(OutageKind.NAN, 300.0, 360.0, candidate),
            Outage(OutageKind.DOWN, 1200.0, 1800.0),
        ),
        crashes=(Crashes(ArmName.CANDIDATE, Onset(0.0, Weight(50), 3600.0), 30.0, 10.0),),
        scales=(Scale(120.0, ArmName.CANDIDATE, 5),),
        cold=(ColdStart("latency", 6.0, 20.0),),
        actions=(Act(180.0, ActionVerb.PAUSE),),
        restarts=(420.0, 480.0),
        dispersion=2.5,
        duration=7200.0,
        seed=9,
        replicas=(3, 1),
        scrape=15.0,
        settle=0.5,
        segments=0.015,
    )


def test_nothing_is_the_usual() -> None:
    assert read_scenario("{}", SPEC) == Scenario()
    assert read_scenario("{}", SPEC, Scenario(name="x", scrape=15.0)) == Scenario(name="x", scrape=15.0)


@pytest.mark.parametrize(
    ("text", "curve"),
    [
        ("rate: 3.5", Constant(3.5)),
        ("ramp: {start: 1, end: 10, over: 5m}", Ramp(1.0, 10.0, 300.0)),
        ("diurnal: {mean: 5, swing: 1, period: 1h}", Diurnal(5.0, 1.0, 0.0, 3600.0)),
        ("points: [[0s, 10], [10m, 40]]", Piecewise(((0.0, 10.0), (600.0, 40.0)))),
    ],
)
def test_traffic(text: str, curve: Curve) -> None:
    assert read_scenario(f"traffic: {{{text}}}", SPEC).traffic == curve


def test_an_sli_goes_by_the_name_of_its_profile_too() -> None:
    named = make_spec(slis=(replace(ERRORS, name="availability"),))
    (change,) = read_scenario("regressions: [{sli: errors, ratio: 5}]", named).changes
    assert change.sli == "availability"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trafic: {rate: 1}", "trafic: unknown field; there are: replicas, name, traffic"),
        ("traffic: {rate: -1}", "traffic.rate: must be a number from 0 to 1e+06, is -1"),
        ("traffic: {rate: .nan}", "traffic.rate: must be a number from 0 to 1e+06, is nan"),
        ("traffic: {rate: yes}", "traffic.rate: must be a number from 0 to 1e+06, is True"),
        ("traffic: {}", "traffic: must have one of rate, ramp, diurnal, points"),
        ("traffic: {rate: 1, points: []}", "traffic: must have one of rate, ramp, diurnal, points"),
        ("traffic: {points: []}", "traffic.points: must have a point"),
        ("traffic: {points: [[0s, 1], [0s, 2]]}", "traffic.points[1][0]: must be later than the point before, is '0s'"),
        (
            "traffic: {points: [3]}",
            "traffic.points[0]: must be a pair of time and requests a second, such as [10m, 40]",
        ),
        ("traffic: {ramp: {start: 1, end: 2, over: 0s}}", "traffic.ramp.over: must be longer than 0s, is '0s'"),
        ("traffic: {ramp: {start: 1, end: 2}}", "traffic.ramp.over: must be set"),
        ("traffic: {ramp: {start: 1, end: 2, over: 1m, x: 1}}", "traffic.ramp.x: unknown field"),
        ("base: {errors: 1}", 'base.errors: must be a share from "0%" to "100%", in quotes and with its sign, is 1'),
        ('base: {errors: "101%"}', 'base.errors: must be a share from "0%" to "100%"'),
        (
            'base: {speed: "1%"}',
            "base.speed: must name an SLI of rollout fraud (errors, latency, accuracy), is 'speed'",
        ),
        ("regressions: [{ratio: 2}]", "regressions[0].sli: must be set"),
        ("regressions: [{sli: errors}]", "regressions[0]: changes nothing; set ratio, difference or times"),
        (
            "regressions: [{sli: errors, times: 2}]",
            "regressions[0].times: is for response times, errors has no threshold",
        ),
        ("regressions: {sli: errors}", "regressions: must be a list, is {'sli': 'errors'}"),
        ("regressions: [errors]", "regressions[0]: must be an object with fields, is 'errors'"),
        ("regressions: [{sli: errors, ratio: 2, from: {weight: 101}}]", "regressions[0].from.weight: must be a weight"),
        (
            "regressions: [{sli: errors, ratio: 2, from: {at: soon}}]",
            "regressions[0].from.at: must be a duration, such as",
        ),
        ("incidents: [{sli: errors, ratio: 2, arm: legacy}]", "incidents[0].arm: unknown field"),
        ("labels: [{sli: accuracy}]", "labels[0].delay: must be set"),
        (
            "outages: [{kind: sleepy, at: 1m, lasts: 1m}]",
            "outages[0].kind: must be one of down, unreachable, empty, nan",
        ),
        ("outages: [{kind: down, at: 1m, lasts: 1m, arm: legacy}]", "outages[0].arm: has no meaning for kind down"),
        ("crashes: [{every: 1m, downtime: 0s}]", "crashes[0].downtime: must be longer than 0s"),
        ("scale: [{at: 1m, replicas: 0}]", "scale[0].replicas: must be a whole number from 1 to 50, is 0"),
        (
            "coldStarts: [{sli: errors, times: 2, lasts: 1m}]",
            "coldStarts[0].times: is for response times, errors has no",
        ),
        ("actions: [{at: 1m, action: Panic}]", "actions[0].action: must be one of Abort, Promote, Pause"),
        ("operatorRestarts: [never]", "operatorRestarts[0]: must be a duration"),
        ("dispersion: 0.5", "dispersion: must be a number from 1 to 1000, is 0.5"),
        ("duration: 1000h", "duration: must be at most 720h"),
        ("seed: 1.5", "seed: must be a whole number from 0 to"),
        ("replicas: {legacy: 0}", "replicas.legacy: must be a whole number from 1 to 50, is 0"),
        ("replicas: {new: 1}", "replicas.new: unknown field; there are: legacy, candidate"),
        ("scrapeInterval: 0s", "scrapeInterval: must be longer than 0s"),
        ("name: 3", "name: must be a text, is 3"),
        ("- 1", "scenario: must be an object with fields"),
        ("a: [", "is no YAML in line 1"),
        ("{}\n---\n{}", "holds 2 YAML documents; must hold one"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_scenario(text, SPEC)
    assert says in caught.value.message

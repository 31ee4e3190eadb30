"""Bad input gives one clear sentence, at apply or in a condition, and harms no other rollout."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from e2e.install import source
from e2e.models import records
from e2e.scenarios.rollouts.conftest import LIAR_PORT, SCRAPE
from e2e.scenarios.rollouts.plays import CANDIDATE, ERRORS, LATENCY, LEGACY, managed, open_play, steps
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]

# What only the cluster can tell: changes of the spec, then reason and a part of the sentence.
WRONG: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "deployment": ({"candidate": {"deployment": "nowhere"}}, "RefNotFound", '"nowhere"'),
    "port": ({"port": 9}, "RefNotFound", "8080"),
    "source": ({"analysis": {"metricSource": "elsewhere"}}, "SourceNotFound", "'elsewhere'"),
    "namespace": ({"analysis": {"metricSource": "fenced"}}, "NamespaceNotAllowed", "allowedNamespaces"),
    "profile": (
        {"slis": [{"name": "x", "profile": "nothing/errors", "objective": "99"}]},
        "ProfileNotFound",
        "'nothing'",
    ),
    "metric": (
        {
            "slis": [
                {
                    "name": "x",
                    "objective": "99",
                    "counts": {"total": {"metric": "no_such_total"}, "bad": {"metric": "no_such_total"}},
                }
            ]
        },
        "MetricNotFound",
        "no_such_total",
    ),
    "boundary": ({"slis": [{**LATENCY, "threshold": "1ms"}]}, "BoundaryMissing", "threshold 1ms"),
}

# What the API server refuses: changes of the spec, then the parts of what it says.
LONG = "a" * 5000
REFUSED: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "falling": (
        {"steps": [{"weight": 50}, {"weight": 25}, {"weight": 100}]},
        ("spec.steps", "weights must rise from step to step"),
    ),
    "objective": (
        {"slis": [{**ERRORS, "objective": "101"}]},
        ("spec.slis[0].objective", "must be a percentage between 0 and 100, both excluded"),
    ),
    "long-deployment": ({"candidate": {"deployment": LONG}}, ("spec.candidate.deployment", "253")),
    "long-sli": ({"slis": [{**ERRORS, "name": LONG}]}, ("spec.slis[0].name", "63")),
    "long-source": ({"analysis": {"metricSource": LONG}}, ("spec.analysis.metricSource", "253")),
}
SENTENCE = 500
"""Characters; nobody reads more, and a name of 5,000 must not come back whole."""


def test_bad_input_is_said_in_one_sentence_and_harms_nobody(stages: Stages) -> None:
    stage = stages("bad-input")
    stage.apply(
        source(
            f"http://127.0.0.1:{LIAR_PORT}", SCRAPE, name="fenced", allowedNamespaces={"matchLabels": {"ml": "true"}}
        )
    )
    good = open_play(stage, wanted=steps(20, 100, each="15s"), slis=[ERRORS, {**LATENCY, "threshold": "260ms"}])
    for name, (change, parts) in REFUSED.items():
        said = stage.refused(_rollout(stage, name, change))
        assert all(part in said for part in parts), f"{name}: {said[:2000]}"
        assert len(said) < SENTENCE, f"{name}: {len(said)} characters: {said[:2000]}"
        # The server itself may add that it left out its other rules; that line names no field.
        assert len([line for line in said.splitlines() if "spec." in line]) == 1, f"{name}: {said}"
    named = _rollout(stage, LONG, {})
    assert "metadata.name" in stage.refused(named)
    stage.apply(*(_rollout(stage, name, change) for name, (change, _, _) in WRONG.items()))
    for name, (_, reason, part) in WRONG.items():
        # Metrics may be missing at first, until the load has been scraped.
        status = stage.wait_reason(reason, seconds=30, name=name)
        assert status["phase"] == "Invalid"
        assert part in status["message"], status["message"]
        assert "\n" not in status["message"]
        assert len(status["message"]) < SENTENCE
        values = {c["type"]: c for c in status["conditions"]}
        assert (values["Ready"]["status"], values["Stalled"]["status"]) == ("False", "True")
        # One of the two says it, in the same words.
        wrong = [c for c in (values["Accepted"], values["ResolvedRefs"]) if c["status"] == "False"]
        assert [c["message"] for c in wrong] == [status["message"]]
    # Put right by others: goes on without anybody touching the rollout.
    stage.apply(source(f"http://127.0.0.1:{LIAR_PORT}", SCRAPE, name="elsewhere"))
    stage.wait_status("has its source", lambda s: s.get("phase") not in (None, "Invalid"), seconds=20, name="source")
    done = stage.wait_phase("Promoted", seconds=90)
    accepted = next(c for c in done["conditions"] if c["type"] == "Accepted")
    assert accepted["status"] == "True"
    assert "threshold 260ms is no bucket boundary" in accepted["message"]
    assert records.failed(good.stop(), 0, time.time()) == []


def _rollout(stage: Stage, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
    thing = stage.rollout(
        name=name,
        legacy=LEGACY,
        candidate=CANDIDATE,
        steps=steps(5, 100),
        slis=[ERRORS],
        traffic=managed(stage, name[:20]),
    )
    thing["spec"].update(change)
    return thing

"""Whatever spec and load the API and Prometheus may give, the forecast says something: preflight waits for it."""

from __future__ import annotations

import re
from dataclasses import replace
from math import isnan

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.api.v1alpha1.sli import Margin as ApiMargin
from modelrollout.core.model import Labels, Margin, Step, Weight
from modelrollout.core.outlook import Detector, Load
from modelrollout.stats.forecast import forecast
from tests.scene import make_spec, sli

SHARES = st.one_of(st.sampled_from([0.0, 1e-9, 1.0]), st.floats(0.0, 1.0))
RATES = st.one_of(st.sampled_from([1e-9, 1.0, 1e6]), st.floats(1e-6, 1e6))
MARGINS = st.builds(Margin, st.floats(0.5, 10.0), st.one_of(st.just(0.0), st.floats(0.0, 0.5)))
WEIGHTS = st.lists(st.integers(1, 9999), max_size=4, unique=True).map(lambda found: [*sorted(found), 10_000])


@settings(max_examples=60, deadline=None)
@given(
    weights=WEIGHTS,
    margin=MARGINS,
    allowed=st.one_of(st.sampled_from([1e-6, 0.9999]), st.floats(1e-6, 0.9999)),
    tolerance=st.floats(1e-6, 0.5),
    load=st.builds(Load, RATES, SHARES),
    delay=st.sampled_from([None, 60.0, 86_400.0]),
    ratio=st.sampled_from([1.01, 3.0, None]),
)
def test_there_is_an_answer_for_everything(
    weights: list[int],
    margin: Margin,
    allowed: float,
    tolerance: float,
    load: Load,
    delay: float | None,
    ratio: float | None,
) -> None:
    one = replace(sli(), allowed=allowed, margin=margin, labels=Labels(max_delay=delay) if delay else None)
    spec = make_spec(slis=(one,))
    spec = replace(
        spec,
        steps=tuple(Step(Weight(weight), 60.0, 21_600.0) for weight in weights),
        analysis=replace(spec.analysis, tolerance=tolerance),
    )
    outlook = forecast(spec, {one.name: load}, scrape=5.0, regressions=(ratio,))
    quick = forecast(spec, {one.name: load}, scrape=5.0, regressions=())
    assert outlook.refusals == quick.refusals
    assert all("nan" not in text and "inf" not in text.split() for text in outlook.refusals)
    for field, words in re.findall(r"margin\.(ratio|difference) ([^ ,]+)", "; ".join(outlook.refusals)):
        # What is offered can be written down as it is; the other part only keeps the pair from being "1 and 0".
        ApiMargin.model_validate({"ratio": "1.5", "difference": "0.1", field: words})
    for step in outlook.steps:
        [proof] = step.proofs
        assert not isnan(step.seconds)
        assert step.seconds >= step.shortest
        assert proof.needed >= 0
        if proof.margin is not None and proof.provable:
            assert proof.seconds <= step.limit
            assert proof.least_ratio is None or proof.least_ratio <= max(1.0, proof.margin.ratio) * 1.00001
        [found] = proof.detections
        if found.by is not Detector.NOTHING:
            assert found.seconds is not None
            assert found.harm is not None
            assert found.late is not None
            assert 0 < found.seconds <= found.late * 1.00001
            assert found.harm > 0

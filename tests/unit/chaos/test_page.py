"""The measured page is made of the figures and of nothing else."""

from __future__ import annotations

from typing import Any

from e2e.chaos.page import page

RUN: dict[str, Any] = {
    "seed": 3,
    "plans": 1200,
    "requests": 500_000,
    "versions": 90_000,
    "virtual": 7200.0,
    "took": 60.0,
    "families": {"crash+after": 5, "crash+before": 6, "fail+409+once": 7},
    "workloads": {"promote": 1200},
    "failed": [{"plan": "promote/1/crash+after@4", "violations": ["I2: raised to 50 %\nmore"]}],
}
STATES = {
    "configurations": [
        {"config": "pods", "states": 10, "transitions": 20, "depth": 3, "complete": True, "walked": 5, "violations": []}
    ]
}
REAL: dict[str, Any] = {
    "date": "2026-11-22 05:00 UTC",
    "commit": "abc1234",
    "asked": 30,
    "plans": 25,
    "seconds": 600,
    "parallel": 4,
    "patience": 1.5,
    "rows": [{"workload": "abort", "family": "crash", "plans": 25, "writes": 1300, "checks": 700, "violated": 1}],
    "runs": [
        {"plan": "abort/crash+after@4", "violations": ["I4: too late\nmore"]},
        {"plan": "abort/crash+after@5", "violations": []},
    ],
}
SEEDED = [
    {"bug": "no data is a pass", "file": "a.py", "level": "L1", "how": "VIOLATED x | y"},
    {"bug": "late", "file": "b.py", "level": "", "how": ""},
]


def test_counts_are_summed_over_runs_and_families() -> None:
    lines = list(page([RUN, RUN], None, None, "Measured today"))
    assert "| 3 | 1,200 | 500,000 | 90,000 | 2 | 60 | 1 |" in lines
    assert "| all | 2,400 | 1,000,000 | 180,000 | 4 | 120 | 2 |" in lines
    assert "| `crash` | 22 |" in lines
    assert "| `fail` | 14 |" in lines
    assert "- `promote/1/crash+after@4`: I2: raised to 50 %" in lines


def test_runs_on_a_real_api_server() -> None:
    lines = list(page([RUN], None, None, "Measured today", [REAL]))
    assert "| abort | `crash` | 25 | 1,300 | 700 | 1 |" in lines
    assert "- `abort/crash+after@4`: I4: too late" in lines
    assert not any("crash+after@5" in line for line in lines)
    (told,) = [line for line in lines if "abc1234" in line]
    assert "25 of 30 plans, 10 minutes with 4 runs side by side; reverts may take 1.5 s longer" in told


def test_states_and_seeded_bugs() -> None:
    lines = list(page([RUN], STATES, SEEDED, "Measured today"))
    assert "| pods | 10 | 20 | 3 | complete | 5 | 0 |" in lines
    assert "| no data is a pass | `a.py` | L1: VIOLATED x / y |" in lines
    assert "| late | `b.py` | **not seen** |" in lines
    assert any("1 of 2 seen" in line for line in lines)

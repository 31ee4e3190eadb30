"""Scenarios that need what the chosen provider does not have are skipped, with a reason that names it.

Directories whose tests share an operator have the fixtures `cluster`, `shared_operator` and `artifacts`; what follows
from these is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster import machine_engine
from e2e.cluster.kind import LACKS
from e2e.cluster.provider import Cluster
from e2e.cluster.providers import chosen
from e2e.scenarios.staging import staging
from e2e.stage import Operator, Stage


def lacks(need: str) -> str | None:
    """Why a scenario that needs this can't be played with the chosen provider; None when it can."""
    provider = chosen()
    if need in ("kind", "embedded"):
        return None if provider == need else f"is about provider {need}, and this is {provider}"
    if need == "private engine":
        taken = provider == "kind" and machine_engine.answers()
        return "the machine's own engine is used here, and its leftovers are that engine's" if taken else None
    what = LACKS[need]  # a need that nobody knows is a mistake with any provider
    return f"provider kind does not have {what}" if provider == "kind" else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip before a fixture brings a cluster up."""
    needs = [str(need) for mark in item.iter_markers("needs") for need in mark.args]
    reasons = [reason for reason in map(lacks, needs) if reason is not None]
    if reasons:
        pytest.skip("; ".join(reasons))


@pytest.fixture
def operator(shared_operator: Operator) -> Iterator[Operator]:
    """The operator, started anew after a test that killed it."""
    yield shared_operator
    if shared_operator.running is None or shared_operator.running.poll() is not None:
        shared_operator.start()


@pytest.fixture
def stages(cluster: Cluster, operator: Operator, artifacts: Path) -> Iterator[Callable[[str], Stage]]:
    """Make a stage in a namespace of its own; removed after the test."""
    with staging(cluster, operator, artifacts) as make:
        yield make

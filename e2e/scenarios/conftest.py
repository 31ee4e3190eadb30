"""Scenarios that need what the chosen provider does not have are skipped, with a reason that names it."""

from __future__ import annotations

import pytest

from e2e.cluster import machine_engine
from e2e.cluster.kind import LACKS
from e2e.cluster.providers import chosen


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

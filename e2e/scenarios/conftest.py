"""Scenarios that need what the chosen provider does not have are skipped, with a reason that names it."""

from __future__ import annotations

import pytest

from e2e.cluster.kind import LACKS
from e2e.cluster.providers import chosen

REASONS = {
    **{need: f"provider kind does not have {what}" for need, what in LACKS.items()},
    "embedded": "not about kind",
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip before a fixture brings a cluster up."""
    needs = [str(need) for mark in item.iter_markers("needs") for need in mark.args]
    reasons = [REASONS[need] for need in needs]
    if reasons and chosen() == "kind":
        pytest.skip("; ".join(reasons))

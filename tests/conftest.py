"""What every test needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.contract.kube.suites import MODULES

# Here, because whoever imports one of them first must find it registered.
pytest.register_assert_rewrite(*MODULES)

# The same examples in every run: a red run must mean a change, not luck. HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("explore", deadline=None, suppress_health_check=list(HealthCheck))
# `make fuzz`: new ones, for minutes.
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "10000")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session", autouse=True)
def main_loop() -> Iterator[None]:
    """Give the main thread a loop, and close it.

    pytest-asyncio asks for the current loop before each test; without one Python 3.11 makes one that nobody
    closes, which is a warning at the end, and warnings are errors.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()

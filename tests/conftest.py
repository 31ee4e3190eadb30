"""What every test needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


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

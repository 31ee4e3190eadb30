"""Secrets that appear or change after start are found without a restart."""

from __future__ import annotations

import asyncio

import pytest

from modelrollout.adapters.prom.sources import Sources
from modelrollout.core.observation import SpecProblem
from modelrollout.ports import SourceSpec
from modelrollout.shell.renewal import EVERY, Renewal

pytestmark = pytest.mark.looptime(start=0)


def source(name: str) -> dict[str, object]:
    auth = {"bearerToken": {"secret": f"{name}-token", "key": "token"}}
    return {"metadata": {"name": name}, "spec": {"prometheus": {"address": "http://prometheus:9090", "auth": auth}}}


async def test_a_secret_that_appears_later_makes_its_source_usable_and_wakes_its_rollouts() -> None:
    secrets: dict[str, str] = {}
    looked: list[tuple[float, str]] = []

    async def read_secret(name: str, key: str) -> str | None:
        looked.append((asyncio.get_running_loop().time(), name))
        if name == "odd-token" and looked[-1][0] > 0:
            raise ArithmeticError("boom")
        return secrets.get(name)

    sources = Sources(read_secret=read_secret, namespace_labels=lambda name: {})
    for name in ("odd", "late"):
        await sources.update(source(name))
    assert isinstance(sources.spec("late"), SpecProblem)
    changed: list[str] = []
    task = asyncio.create_task(Renewal(sources, changed.append).run())
    await asyncio.sleep(EVERY + 1)
    assert (EVERY, "late-token") in looked, "a source that breaks must not end the looks at the others"
    assert changed == []
    secrets["late-token"] = "secret"
    await asyncio.sleep(EVERY)
    assert changed == ["late"]
    assert isinstance(sources.spec("late"), SourceSpec)
    await asyncio.sleep(5 * EVERY)
    assert changed == ["late"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    sources.close()

"""The contract suites over the fake API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.fake_api import FakeApi, fake_api
from tests.contract.kube.harness import Kube, connected, plain_kubeconfig

SUITES = ("managed", "adopted", "rollouts", "workloads", "lease", "announcer")
pytest.register_assert_rewrite("tests.contract.kube.routes", *(f"tests.contract.kube.{s}_suite" for s in SUITES))


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        yield running


@pytest.fixture
async def kube(api: FakeApi, tmp_path: Path) -> AsyncIterator[Kube]:
    async with connected(plain_kubeconfig(tmp_path / "kubeconfig", api.url), "serving") as harness:
        yield harness

"""The contract suites over the fake API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from e2e.cluster.control_plane import plain_kubeconfig
from tests.contract.fake_api import FakeApi, fake_api
from tests.contract.kube.harness import Kube, connected
from tests.contract.kube.wire import Wire, wired


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        yield running


@pytest.fixture
async def kube(api: FakeApi, tmp_path: Path) -> AsyncIterator[Kube]:
    async with connected(plain_kubeconfig(tmp_path / "kubeconfig", api.url), "serving") as harness:
        yield harness


@pytest.fixture
async def wire(api: FakeApi, tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(plain_kubeconfig(tmp_path / "wire", api.url), "serving") as connection:
        yield connection


@pytest.fixture
async def other(api: FakeApi, tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(plain_kubeconfig(tmp_path / "other", api.url), "other") as connection:
        yield connection

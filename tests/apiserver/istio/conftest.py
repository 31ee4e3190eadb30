"""An API server, an istiod and a gateway for the tests of a file, a namespace with two models for each test."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import istio_crds
from tests.apiserver.arms import answering
from tests.apiserver.istio import stage
from tests.apiserver.istio.stage import Mesh, Visitors
from tests.contract.kube.harness import Kube, connected


# Its own: a gateway refuses all of its routes for one of anybody's, and other tests leave such behind.
@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[istio_crds()]) as running:
        yield running


@pytest.fixture(scope="module")
def mesh(server: ApiServer) -> Iterator[Mesh]:
    with stage.mesh(server) as running:
        yield running


@pytest.fixture(scope="module")
def arms() -> Iterator[int]:
    with answering() as port:
        yield port


@pytest.fixture
async def kube(server: ApiServer, mesh: Mesh, arms: int) -> AsyncIterator[Kube]:
    async with connected(server.kubeconfig, f"test-{uuid4().hex[:12]}") as harness:
        await stage.models(harness, arms)
        yield harness


@pytest.fixture
def users(kube: Kube, mesh: Mesh) -> Visitors:
    return Visitors(mesh.port, f"{kube.namespace}.example.com")

"""The same contract suites over a real API server, a namespace for each test."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer
from e2e.cluster.programs import gateway_api_crds, istio_crds
from tests.contract.kube.harness import Kube, connected
from tests.contract.kube.wire import Wire, wired


@pytest.fixture(scope="session")
def gateway_server(server: ApiServer) -> ApiServer:
    for crds in (gateway_api_crds(), istio_crds(), traefik.crds()):
        server.install_crds(crds)
    return server


@pytest.fixture
async def kube(gateway_server: ApiServer) -> AsyncIterator[Kube]:
    async with connected(gateway_server.kubeconfig, f"test-{uuid4().hex[:12]}") as harness:
        yield harness


@pytest.fixture
async def wire(gateway_server: ApiServer) -> AsyncIterator[Wire]:
    async with wired(gateway_server.kubeconfig, f"test-{uuid4().hex[:12]}") as connection:
        yield connection


@pytest.fixture
async def other(gateway_server: ApiServer) -> AsyncIterator[Wire]:
    async with wired(gateway_server.kubeconfig, f"test-{uuid4().hex[:12]}") as connection:
        yield connection

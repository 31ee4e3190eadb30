"""One API server with Traefik's CRDs and two servers for the tests of this directory.

Traefik takes minutes to build, so that they are skipped until `make traefik` has done it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer, apiserver
from modelrollout.adapters.kube.resources import SERVICES
from tests.apiserver.arms import ADDRESSES, answering
from tests.contract.kube.harness import Kube, connected


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with apiserver(crds=[traefik.crds()]) as running:
        yield running


@pytest.fixture(scope="module")
def arms() -> Iterator[int]:
    with answering() as port:
        yield port


@pytest.fixture
async def kube(server: ApiServer, arms: int) -> AsyncIterator[Kube]:
    async with connected(server.kubeconfig, f"test-{uuid4().hex[:12]}") as harness:
        for name, address in ADDRESSES.items():
            # Endpoints on loopback are refused by the API server; names outside the cluster are not.
            port = {"name": "http", "port": arms}
            await harness.create(
                SERVICES, name, {"spec": {"type": "ExternalName", "externalName": address, "ports": [port]}}
            )
        yield harness

"""One full cluster with a Traefik for these scenarios; the operator beside it, as in those of `rollouts`.

Traefik takes minutes to build, so that these are skipped until `make traefik` has done it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import traefik
from e2e.cluster.provider import Cluster
from e2e.cluster.providers import open_cluster
from e2e.install import install
from e2e.models import image
from e2e.scenarios.staging import kept
from e2e.scenarios.traefik.front import Front
from e2e.stage import Operator

OPERATOR_PORT = 9464
SCRAPE = "2s"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A full cluster of its own; gone with the test run, also when that is killed."""
    if not traefik.built():
        pytest.skip("Traefik has not been built: make traefik builds it and runs this")
    made = open_cluster(f"traefik-{os.getpid()}", ephemeral=True, scrape=SCRAPE)
    made.up("full")
    try:
        made.load_image(image.archive())
        made.exec(["kubectl", "apply", "--server-side", "-f", traefik.crds()])
        made.exec(["kubectl", "wait", "--for=condition=Established", "--timeout=30s", "crd/traefikservices.traefik.io"])
        install(made, prometheus=made.prometheus_url, scrape=SCRAPE)
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where logs and records of this run are kept."""
    return kept(tmp_path_factory, "traefik")


@pytest.fixture(scope="session")
def front(cluster: Cluster, artifacts: Path) -> Iterator[Front]:
    """Traefik."""
    made = Front(cluster, artifacts / "traefik.log")
    yield made
    made.running.stop(grace_s=2)


@pytest.fixture(scope="session")
def shared_operator(cluster: Cluster, artifacts: Path) -> Iterator[Operator]:
    made = Operator(cluster, artifacts / "operator.log", port=OPERATOR_PORT)
    made.start()
    yield made
    made.stop()

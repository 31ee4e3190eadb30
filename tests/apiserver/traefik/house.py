"""A Traefik before two servers on loopback, and users who count which of them answers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from e2e.cluster import traefik
from e2e.cluster.apiserver import ApiServer
from e2e.cluster.processes import ClusterError, Process, free_ports, start, wait_for
from tests.apiserver.arms import Users, connected_to
from tests.contract.kube.harness import CANDIDATE, LEGACY

BATCH = 1000
BATCHES = 60
"""Of so many requests, until a weight must be followed."""


class Proxy(Users):
    """Users of a running Traefik."""

    def cookie(self, arm: str) -> dict[str, str]:
        """The header with the cookie of a user whom Traefik sent to this arm."""
        for _ in range(100):
            with connected_to(self.port) as connection:
                who, answer = self.once(connection)
            if who == arm:
                return {"Cookie": str(answer.headers["Set-Cookie"]).partition(";")[0]}
        raise AssertionError(f"nobody was sent to {arm}")

    def until(self, wanted: Counter[str], **headers: str) -> None:
        """Return when a thousand requests are answered so, in percent, give or take one of the thousand."""
        for _ in range(BATCHES):
            found = self.ask(BATCH, **headers)
            if all(abs(found[key] - wanted[key] * BATCH // 100) <= 1 for key in {*found, *wanted}):
                return
        raise AssertionError(f"the last {BATCH} requests: {found}, not {wanted} of a hundred")


@contextmanager
def proxied(server: ApiServer, directory: Path, *flags: str) -> Iterator[tuple[int, int]]:
    """A Traefik on the objects of this API server: the ports of its users and of its metrics."""
    port, admin = free_ports(2)
    argv: list[str | Path] = [
        traefik.binary(),
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--entryPoints.traefik.address=127.0.0.1:{admin}",
        "--ping=true",
        "--metrics.prometheus=true",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--providers.kubernetesCRD=true",
        "--providers.kubernetesCRD.allowExternalNameServices=true",
        *flags,
    ]
    env = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
    running: Process = start("traefik", argv, log=directory / "traefik.log", env=env)
    try:
        wait_for("Traefik", lambda: listens(admin), timeout_s=60, watch=[running])
        yield port, admin
    except AssertionError as error:
        raise ClusterError(running.tail()) from error
    finally:
        running.stop()


def listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def split(candidate: int) -> Counter[str]:
    """Of a hundred requests, so many to the candidate."""
    return Counter({LEGACY: 100 - candidate, CANDIDATE: candidate})

"""What all runs of a campaign share: one API server, the witness, the stand-in for Prometheus. Ends with the block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from e2e.chaos.real.drive import World
from e2e.chaos.real.prometheus import Prometheus
from e2e.chaos.real.stage import Hands
from e2e.chaos.real.upstream import Upstream
from e2e.chaos.real.witness import Witness
from modelrollout.adapters.kube.client import KubeClient


@asynccontextmanager
async def shared(kubeconfig: Path, directory: Path) -> AsyncIterator[World]:
    """Around an API server that runs and has the CRDs. `directory`: where the operators' logs go."""
    upstream = Upstream.of(kubeconfig)
    witness = Witness(upstream)
    prometheus = Prometheus()
    try:
        async with await KubeClient.connect(kubeconfig, manager="kubectl") as client:
            await witness.start()
            await prometheus.start()
            hands = Hands(client, witness, prometheus)
            await hands.source()
            yield World(hands, upstream, directory)
            await witness.stop()
    finally:
        await prometheus.stop()
        await upstream.close()

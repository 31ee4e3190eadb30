"""What runs of a campaign share: an API server, the witness, the stand-in for Prometheus. All end with the block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from e2e.chaos.real.faults import Needs
from e2e.chaos.real.lagging import Lagging, lagging
from e2e.chaos.real.members import Members, three
from e2e.chaos.real.prometheus import Prometheus
from e2e.chaos.real.stage import Hands
from e2e.chaos.real.upstream import Upstream
from e2e.chaos.real.witness import Witness
from e2e.cluster.apiserver import ApiServer
from modelrollout.adapters.kube.client import KubeClient


@dataclass(frozen=True, slots=True)
class World:
    """Where a run takes place. What can be taken away from it belongs to one run at a time."""

    hands: Hands
    upstream: Upstream
    directory: Path
    lagging: Lagging | None = None
    etcd: Members | None = None


@asynccontextmanager
async def worlds(
    needs: Needs, server: ApiServer, crds: Sequence[Path], *, directory: Path, parallel: int
) -> AsyncIterator[list[World]]:
    """One for each run that may go on at once. `server` has the CRDs; `directory`: where the operators' logs go.

    Raises ClusterError when what is needed does not come up.
    """
    async with AsyncExitStack() as stack:
        match needs:
            case Needs.SERVER:
                world = await stack.enter_async_context(_shared(server.kubeconfig, directory))
                yield [world] * parallel
            case Needs.LAGGING:
                world = await stack.enter_async_context(_shared(server.kubeconfig, directory))
                seconds = [
                    await stack.enter_async_context(lagging(server.plane, f"second-{index}"))
                    for index in range(parallel)
                ]
                yield [replace(world, lagging=second) for second in seconds]
            case Needs.MEMBERS:
                found = []
                for _ in range(parallel):
                    kubeconfig, etcd = await stack.enter_async_context(three(crds))
                    world = await stack.enter_async_context(_shared(kubeconfig, directory))
                    found.append(replace(world, etcd=etcd))
                yield found


@asynccontextmanager
async def _shared(kubeconfig: Path, directory: Path) -> AsyncIterator[World]:
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

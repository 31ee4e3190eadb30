"""An API server on three members of etcd, which can be killed, stopped and brought back."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from e2e.chaos.real.faults import Loss
from e2e.chaos.real.upstream import Upstream
from e2e.cluster import programs
from e2e.cluster.apiserver import FLAGS, START_TIMEOUT_S, ApiServer
from e2e.cluster.control_plane import Address, ControlPlane, make_control_plane
from e2e.cluster.processes import ClusterError, Process, free_ports, start

COUNT = 3
POLL = 0.1
ELECTION = ("--heartbeat-interval=200", "--election-timeout=2000")
"""Milliseconds; a machine that is busy must not depose a leader that is well."""
LONG = 60.0


class Member:
    """One etcd."""

    def __init__(self, programs: Path, directory: Path, name: str, ports: tuple[int, int], cluster: str) -> None:
        self.client = f"http://127.0.0.1:{ports[0]}"
        peer = f"http://127.0.0.1:{ports[1]}"
        self._argv = [
            str(programs / "etcd"),
            f"--name={name}",
            f"--data-dir={directory / name}",
            f"--listen-client-urls={self.client}",
            f"--advertise-client-urls={self.client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={cluster}",
            *ELECTION,
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        self._log = directory / f"{name}.log"
        self._stopped = False
        self.process: Process | None = None

    def start(self) -> None:
        """Start it, again with what it has stored, or let it go on."""
        if self.process is None or not self.process.alive():
            self.process = start("etcd", self._argv, log=self._log)
        elif self._stopped:
            os.kill(self.process.popen.pid, signal.SIGCONT)
        self._stopped = False

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.alive():
            self.process.popen.kill()
            self.process.popen.wait()

    def stop(self) -> None:
        """SIGSTOP."""
        if self.process is not None and self.process.alive():
            os.kill(self.process.popen.pid, signal.SIGSTOP)
            self._stopped = True


class Members:
    """Three members under one API server."""

    def __init__(self, members: Sequence[Member], server: Upstream) -> None:
        self._members, self._server = tuple(members), server
        self.elections: list[float] = []
        """Seconds from the loss of a leader to a server that answers."""

    async def lose(self, loss: Loss) -> None:
        """Kill or stop. Raises ClusterError when there is no leader to begin with."""
        leader = await self._leader()
        match loss:
            case Loss.KILLED:
                leader.kill()
            case Loss.STOPPED:
                leader.stop()
            case Loss.QUORUM:
                leader.kill()
                next(member for member in self._members if member is not leader).kill()

    async def mend(self) -> None:
        """All members run."""
        for member in self._members:
            member.start()

    async def answering(self, count: int, *, within: float) -> None:
        """Until the API server has answered so many reads of etcd in a row, each within so many seconds.

        Raises ClusterError when it does not within a minute.
        """
        begun, row = time.monotonic(), 0
        while row < count:
            row = row + 1 if await self._reads(within) else 0
            if time.monotonic() - begun > LONG:
                raise ClusterError("the API server does not answer any more although etcd should be well")
            await asyncio.sleep(POLL)
        self.elections.append(time.monotonic() - begun)

    async def _reads(self, within: float) -> bool:
        # A read without a version is answered by etcd, whose leader must confirm it.
        url = f"{self._server.url}/api/v1/namespaces/default"
        try:
            async with self._server.session.get(url, timeout=aiohttp.ClientTimeout(total=within)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _leader(self) -> Member:
        for _ in range(round(START_TIMEOUT_S / POLL)):
            for member in self._members:
                if await self._leads(member):
                    return member
            await asyncio.sleep(POLL)
        raise ClusterError("the members of etcd have no leader")

    async def _leads(self, member: Member) -> bool:
        limit = aiohttp.ClientTimeout(total=1.0)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(f"{member.client}/v3/maintenance/status", json={}) as answer,
            ):
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return bool(said.get("leader")) and said["leader"] == (said.get("header") or {}).get("member_id")


@asynccontextmanager
async def three(crds: Sequence[Path]) -> AsyncIterator[tuple[Path, Members]]:
    """A cluster of its own for the length of the block: its kubeconfig and its members. Raises ClusterError."""
    binaries = programs.kubernetes()
    directory = Path(tempfile.mkdtemp(prefix="modelrollout-members-"))
    ports = free_ports(1 + 2 * COUNT)
    own = [(ports[1 + 2 * index], ports[2 + 2 * index]) for index in range(COUNT)]
    cluster = ",".join(f"m{index}=http://127.0.0.1:{peer}" for index, (_, peer) in enumerate(own))
    members = [Member(binaries, directory, f"m{index}", pair, cluster) for index, pair in enumerate(own)]
    running: list[Process] = []
    upstream: Upstream | None = None
    try:
        for member in members:
            member.start()
        address = Address("127.0.0.1", ports[0], own[0][0], own[0][1])
        plane = make_control_plane(binaries, directory, address=address, audit=False, node=None)
        server = start("kube-apiserver", _argv(plane, members), log=directory / "kube-apiserver.log")
        running.append(server)
        upstream = Upstream.of(plane.kubeconfig)
        await _up(plane, server)
        await asyncio.to_thread(ApiServer(plane).install_crds, *crds)
        yield plane.kubeconfig, Members(members, upstream)
    finally:
        if upstream is not None:
            await upstream.close()
        for process in running:
            process.stop(grace_s=0.0)
        for member in members:
            member.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _argv(plane: ControlPlane, members: Sequence[Member]) -> list[str]:
    stores = f"--etcd-servers={','.join(member.client for member in members)}"
    return [stores if arg.startswith("--etcd-servers=") else arg for arg in plane.apiserver(FLAGS)]


async def _up(plane: ControlPlane, server: Process) -> None:
    for _ in range(round(START_TIMEOUT_S / POLL)):
        if await asyncio.to_thread(plane.ready):
            return
        if not server.alive():
            break
        await asyncio.sleep(POLL)
    raise ClusterError(f"the API server on three members of etcd does not come up; its log ends:\n{server.tail()}")

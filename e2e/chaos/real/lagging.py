"""A second API server on the same etcd, which can be kept from hearing what is new: then its cache is of the past."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp

from e2e.chaos.real.upstream import Upstream
from e2e.cluster.apiserver import FLAGS, START_TIMEOUT_S
from e2e.cluster.control_plane import Address, ControlPlane, write_kubeconfig
from e2e.cluster.processes import ClusterError, free_ports, start
from modelrollout.adapters.kube.resources import NAMESPACES
from modelrollout.shell.sync import WATCHED

CHUNK = 1 << 16
POLL = 0.2


class Relay:
    """A way over TCP that can be held: then nothing comes through, and nothing is lost."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flow = asyncio.Event()
        self._flow.set()
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[object]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def hold(self, yes: bool) -> None:
        """Hold, or let go."""
        if yes:
            self._flow.clear()
        else:
            self._flow.set()

    async def close(self) -> None:
        """Cut every connection and take no more."""
        if self._server is not None:
            self._server.close()
        self._flow.set()
        for end in tuple(self._ends):
            end.transport.abort()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        task.add_done_callback(self._ways.discard)
        self._ends.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # etcd is gone, and so is the way to it
            writer.close()
        else:
            self._ends.add(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            self._ends.discard(far_writer)
        self._ends.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._flow.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()


class Lagging:
    """The server as the proxies reach it. It must not be held longer than 35 s: then it asks etcd anew."""

    def __init__(self, upstream: Upstream, relay: Relay) -> None:
        self.upstream = upstream
        self._relay = relay

    def hold(self, yes: bool) -> None:
        """Let it hear nothing from etcd, or everything again."""
        self._relay.hold(yes)


@asynccontextmanager
async def lagging(plane: ControlPlane, name: str) -> AsyncIterator[Lagging]:
    """A second API server beside the one of `plane`, for the length of the block. Raises ClusterError."""
    relay = Relay(plane.address.etcd_port)
    await relay.start()
    (port,) = free_ports(1)
    second = replace(plane, address=Address("127.0.0.1", port, relay.port, 0), audit=False)
    process = start("kube-apiserver", second.apiserver(FLAGS), log=plane.directory / f"{name}.log")
    kubeconfig = plane.directory / f"{name}.kubeconfig"
    write_kubeconfig(kubeconfig, second.address.url, ca=plane.pki["ca"].cert, client=plane.pki["admin"])
    upstream = Upstream.of(kubeconfig)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            # What has never been asked for has no cache, and would be asked of etcd.
            while not await _serves(upstream):
                if not process.alive():
                    raise ClusterError(f"the second kube-apiserver ended; its log ends:\n{process.tail()}")
                await asyncio.sleep(POLL)
        yield Lagging(upstream, relay)
    except TimeoutError as error:
        raise ClusterError(f"the second kube-apiserver does not come up; its log ends:\n{process.tail()}") from error
    finally:
        await upstream.close()
        process.stop(grace_s=0.0)
        await relay.close()


async def _serves(upstream: Upstream) -> bool:
    for resource in (*WATCHED, NAMESPACES):
        url = f"{upstream.url}{resource.path()}"
        try:
            async with upstream.session.get(url, params={"resourceVersion": "0"}) as answer:
                if answer.status != 200:
                    return False
        except aiohttp.ClientError:
            return False
    return True

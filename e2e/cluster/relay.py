"""Doors from the machine's loopback into a cluster's network.

Runs inside the cluster as `python -m e2e.cluster.relay HOST_NETWORK_FD DIRECTORY`. A file DIRECTORY/PORT that
holds `HOST:PORT` asks for a door on 127.0.0.1:PORT of the machine; PORT.open appears when it is there. Only the
listening socket is made in the machine's network, so nothing inside can reach out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from pathlib import Path

POLL_S = 0.05
CHUNK = 1 << 16
CLONE_NEWNET = 0x40000000


def listen_in(network_fd: int, port: int) -> socket.socket:
    """A listening socket on 127.0.0.1 of another network namespace. Raises OSError."""
    own_fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _enter(network_fd)
        try:
            return socket.create_server(("127.0.0.1", port), backlog=256)
        finally:
            _enter(own_fd)
    finally:
        os.close(own_fd)


def _enter(network_fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network_fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _open_door(network_fd: int, port: int, target: str) -> asyncio.Server:
    host, _, target_port = target.rpartition(":")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(target_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        writer.close()
        far_writer.close()

    return await asyncio.start_server(relay, sock=listen_in(network_fd, port))


async def serve(network_fd: int, directory: Path) -> None:
    """Open the doors that are asked for, for ever."""
    doors: dict[str, asyncio.Server] = {}
    while True:
        for wish in directory.iterdir():
            if wish.name.isdigit() and wish.name not in doors:
                doors[wish.name] = await _open_door(network_fd, int(wish.name), wish.read_text().strip())
                wish.with_suffix(".open").touch()
        await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))

"""An operator's place: its process, started again after its end as a container is, and its way to the API server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.chaos.real.ledger import Ledger, Sent
from e2e.chaos.real.proxy import Mishap, Proxy
from e2e.chaos.real.upstream import Upstream
from e2e.cluster.control_plane import plain_kubeconfig
from e2e.cluster.processes import Process, start

RESTART = 1.0
POLL = 0.05


class Member:
    """`name` is that of its writes, with the number of the life; the identity is the same over all lives.

    `lives` counts those of all members. `began` hears of each start, `broke` of an end that nobody wanted.
    """

    def __init__(
        self,
        name: str,
        proxy: Proxy,
        directory: Path,
        *,
        namespace: str,
        lives: Callable[[], int],
        began: Callable[[Member], None],
        broke: Callable[[str], None],
    ) -> None:
        directory.mkdir(parents=True)
        self.name, self.proxy = name, proxy
        self._directory, self._namespace = directory, namespace
        self._lives, self._began, self._broke = lives, began, broke
        self._process: Process | None = None
        self._down = 0.0
        """Until when it is down; 0 when nobody wanted it to end."""

    def start(self) -> None:
        """Start the process once more."""
        self.proxy.life = life = self._lives()
        kubeconfig = plain_kubeconfig(self._directory / "kubeconfig", f"http://127.0.0.1:{self.proxy.port}")
        argv: list[str | Path] = [sys.executable, "-m", "modelrollout", "run", "--kubeconfig", kubeconfig]
        argv += ["--namespace", self._namespace, "--lease-namespace", self._namespace, "--identity", f"{self.name}-1"]
        argv += ["--web", "127.0.0.1:0", "--allow-loopback-sources"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MODELROLLOUT_")}
        self._process = start("operator", argv, log=self._directory / f"{life}.log", env=environment)
        self._began(self)

    async def contain(self) -> None:
        """Start it again whenever it ends, for ever."""
        while True:
            await asyncio.sleep(POLL)
            if self._process is None or self._process.alive():
                continue
            self.proxy.died()
            if not self._down:
                self._broke(f"{self.name} ended by itself with code {self._process.popen.returncode}")
            await asyncio.sleep(max(RESTART, self._down - time.time()))
            self._down = 0.0
            self.start()

    def kill(self, *, down: float = RESTART) -> None:
        """SIGKILL, without waiting; nothing of it is passed on any more. It comes back after `down` seconds."""
        self._down = time.time() + down
        self._send(signal.SIGKILL)
        self.proxy.died()

    def stand_still(self, yes: bool) -> None:
        """SIGSTOP, or SIGCONT."""
        self._send(signal.SIGSTOP if yes else signal.SIGCONT)

    def end(self) -> None:
        """Kill it and wait."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.popen.wait()

    def bugs(self) -> list[str]:
        """What the logs of all lives show as broken: exceptions, and lines that are critical."""
        found = []
        for log in sorted(self._directory.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    found.append(line)  # what no logger wrote is a traceback, or a remark of the interpreter
                    continue
                if record.get("level") == "critical" or (record.get("level") == "error" and "exception" in record):
                    found.append(f"{record['message']}\n{record.get('exception', '')}".strip())
        return found

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.alive():
            os.kill(self._process.popen.pid, number)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a run does when something happens to one of its operators."""

    meets: Callable[[Member, Sent], Mishap | None]
    kill: Callable[[Member], None]
    told: Callable[[Sent], None]
    began: Callable[[Member], None]
    broke: Callable[[str], None]


class Crew:
    """The operators of one run, the first of which leads; each has its own proxy, all share a ledger."""

    def __init__(
        self, names: Sequence[str], upstream: Upstream, directory: Path, *, namespace: str, hooks: Hooks
    ) -> None:
        self.ledger = Ledger()
        self._upstream, self._namespace, self._hooks = upstream, namespace, hooks
        self._born = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.members = [self._member(name, directory / name) for name in names]

    def _member(self, name: str, directory: Path) -> Member:
        hooks = self._hooks
        proxy = Proxy(
            self._upstream,
            lambda sent: hooks.meets(member, sent),
            lambda: hooks.kill(member),
            hooks.told,
            name=name,
            ledger=self.ledger,
        )
        member = Member(
            name,
            proxy,
            directory,
            namespace=self._namespace,
            lives=self._next,
            began=hooks.began,
            broke=hooks.broke,
        )
        return member

    async def listen(self) -> None:
        """The proxies, before anything runs."""
        for member in self.members:
            await member.proxy.start()

    def start(self, member: Member) -> None:
        """Start a process and keep it running."""
        member.start()
        self._tasks.append(asyncio.create_task(member.contain()))

    async def end(self) -> None:
        """Kill and cut everything."""
        for task in self._tasks:
            task.cancel()
        for member in self.members:
            member.end()
        for member in self.members:
            await member.proxy.stop()

    def _next(self) -> int:
        self._born += 1
        return self._born

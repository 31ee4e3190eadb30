"""The operator as a process of its own, as `modelrollout run` starts it, and what it says on `/metrics`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from e2e.bench import Usage
from e2e.cluster.processes import ClusterError, Process, fetch, free_ports, start
from e2e.scale.census import Census

READY_SECONDS = 180.0
BUSY_SECONDS = 60.0
"""For which a busy operator on a busy machine may not answer."""
LABELS = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of `/metrics` without those of single rollouts: by name and sorted labels."""

    values: Mapping[tuple[str, LABELS], float]

    def sum(self, name: str, **labels: str) -> float:
        """Sum of all series of the name with these labels; 0 without any."""
        wanted = set(labels.items())
        return sum(value for (known, has), value in self.values.items() if known == name and wanted <= set(has))

    def quantile(self, name: str, share: float, since: Numbers, **labels: str) -> float:
        """Upper edge of the bucket in which this share of the observations since then ends."""
        wanted = set(labels.items())
        counts: dict[float, float] = {}
        for (known, has), value in self.values.items():
            if known == f"{name}_bucket" and wanted <= set(has):
                edge = float(dict(has)["le"])
                counts[edge] = counts.get(edge, 0.0) + value - since.values.get((known, has), 0.0)
        most = counts.get(float("inf"), 0.0)
        return next((edge for edge in sorted(counts) if most and counts[edge] >= share * most), float("nan"))


class Operator:
    """One operator; `identity` tells it from a standby."""

    def __init__(self, kubeconfig: Path, log: Path, identity: str, *, census: Path | None = None) -> None:
        """`census`: the file for `count`."""
        self.identity, self.log = identity, log
        self._census = census
        self._kubeconfig = kubeconfig
        self.port = 0
        self._process: Process | None = None
        self.begun = 0.0
        """Epoch seconds of the start of the process."""

    def start(self) -> float:
        """Start it and wait until it is ready; returns the seconds that it took."""
        (self.port,) = free_ports(1)
        module = ["modelrollout"] if self._census is None else ["e2e.scale.census", self._census]
        argv: list[str | Path] = [sys.executable, "-m", *module, "run", "--kubeconfig", self._kubeconfig]
        argv += ["--web", f"127.0.0.1:{self.port}", "--allow-loopback-sources", "--lease-namespace", "default"]
        argv += ["--identity", self.identity]
        self.begun = time.time()
        self._process = start("operator", argv, log=self.log)
        end = time.monotonic() + READY_SECONDS
        while self._get("/readyz") is None:
            if not self._process.alive():
                raise ClusterError(f"the operator ended:\n{self._process.tail()}")
            if time.monotonic() > end:
                raise ClusterError(f"the operator is not ready after {READY_SECONDS:g} s:\n{self._process.tail()}")
            time.sleep(0.2)
        return time.time() - self.begun

    @property
    def usage(self) -> Usage:
        """Its processor time and memory."""
        assert self._process is not None
        return Usage(self._process.popen.pid)

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process is not None
        return self._process.popen.pid

    def numbers(self) -> Numbers:
        """Its metrics now."""
        end = time.monotonic() + BUSY_SECONDS
        while (text := self.metrics()) is None and time.monotonic() < end:
            time.sleep(0.5)
        if text is None:
            raise ClusterError(f"the operator's /metrics does not answer:\n{self.tail()}")
        kept = "".join(
            f"{line}\n" for line in text.splitlines() if not line.startswith("#") and 'rollout_namespace="' not in line
        )
        values = {}
        for family in text_string_to_metric_families(kept):
            for sample in family.samples:
                values[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        return Numbers(values)

    def metrics(self) -> str | None:
        """All of /metrics; None when it does not answer."""
        text = self._get("/metrics")
        return None if text is None else text.decode()

    def count(self) -> Census | None:
        """What its memory held when it was last asked, and ask again."""
        if self._census is None or not self.alive():
            return None
        last = Census.read(self._census)
        os.kill(self.pid, signal.SIGUSR2)
        return last

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.alive()

    def broken(self) -> list[str]:
        """What its log shows as broken: tracebacks, and lines that are critical."""
        return broken(self.log.read_text(errors="replace")) if self.log.is_file() else []

    def kill(self) -> float:
        """SIGKILL; returns the epoch seconds."""
        assert self._process is not None
        at = time.time()
        os.kill(self._process.popen.pid, signal.SIGKILL)
        self._process.popen.wait()
        return at

    def stop(self) -> None:
        """SIGTERM, and wait. Safe to call at any time."""
        if self._process is not None:
            self._process.stop(grace_s=10)

    def tail(self) -> str:
        """The end of its log."""
        return self._process.tail() if self._process is not None else ""

    def _get(self, path: str) -> bytes | None:
        return fetch(f"http://127.0.0.1:{self.port}{path}")


def broken(log: str) -> list[str]:
    """What an operator in order never writes: critical lines, tracebacks, and what no logger wrote."""
    found = []
    for line in log.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        if record.get("level") == "critical" or "exception" in record:
            found.append(f"{record['message']} {record.get('exception', '')}".strip())
    return found

"""`make bench`: what a thousand rollouts at rest cost the operator and the API server.

A real API server, controllers and simulated nodes (tier `fake`); every rollout was started by the operator and aborted,
so each has its Deployments, Services, HTTPRoute and a written status. Prints RSS, CPU, writes and reads over some
minutes at rest, and how long a start and a restart take.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster import programs
from e2e.cluster.artifacts import BuildError
from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.processes import ClusterError
from e2e.install import install
from e2e.stage import Operator, Timeout, until

NAMESPACE = "bench"
CHUNK = 250
SETTLE = 10.0
"""Seconds without a look at any rollout after which the operator counts as at rest."""
TICKS = os.sysconf("SC_CLK_TCK")
WRITES = ("create", "update", "patch", "delete", "deletecollection")


def objects(index: int) -> Iterator[dict[str, Any]]:
    """Two Deployments, two Services and a ModelRollout."""
    for version in (1, 2):
        name = f"m{index}-v{version}"
        labels = {"app": name}
        meta = {"name": name, "namespace": NAMESPACE}
        container = {"name": "model", "image": "example/model:1", "env": [{"name": "V", "value": str(version)}]}
        pod = {
            "containers": [container],
            "nodeSelector": {"type": "kwok"},
            "tolerations": [{"operator": "Exists"}],
        }
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
        ports = {"selector": labels, "ports": [{"port": 8080}]}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": ports}
    yield {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": f"m{index}", "namespace": NAMESPACE},
        "spec": {
            "legacy": {"deployment": f"m{index}-v1"},
            "candidate": {"deployment": f"m{index}-v2"},
            "port": 8080,
            "traffic": {"managedRoute": {"parentRefs": [{"name": "public"}], "hostnames": [f"m{index}.example.com"]}},
            "steps": [{"weight": 5}, {"weight": 100}],
            "slis": [{"name": "availability", "profile": "modelrollout/errors", "objective": "99.9"}],
        },
    }


def abort(index: int) -> dict[str, Any]:
    """The action that brings a rollout to rest."""
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "RolloutAction",
        "metadata": {"name": f"m{index}-abort", "namespace": NAMESPACE},
        "spec": {"rollout": f"m{index}", "action": "Abort", "reason": "bench"},
    }


def apply(cluster: EmbeddedCluster, things: Sequence[Mapping[str, Any]]) -> None:
    """Create objects in chunks."""
    for start in range(0, len(things), CHUNK):
        chunk = {"apiVersion": "v1", "kind": "List", "items": list(things[start : start + CHUNK])}
        cluster.exec(["kubectl", "create", "-f", "-"], input_text=json.dumps(chunk))
        print(f"  {min(start + CHUNK, len(things))} of {len(things)} objects", flush=True)


class Usage:
    """CPU seconds and memory of a process by /proc; `self` is this one."""

    def __init__(self, pid: int | str) -> None:
        self.pid = pid

    def cpu(self) -> float:
        """User and system seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        """Resident MiB."""
        return self._memory("VmRSS:")

    def peak(self) -> float:
        """The most that it ever was, MiB."""
        return self._memory("VmHWM:")

    def _memory(self, what: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        raise ProcessLookupError(f"process {self.pid} is gone")


def operator_pid(port: int) -> int:
    """The operator by its command line (process numbers inside the cluster are others)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"modelrollout" in command and f"127.0.0.1:{port}".encode() in command and b"-m" in command[:3]:
                return int(entry.name)
    raise ProcessLookupError("the operator is not there")


def phases(cluster: EmbeddedCluster) -> Counter[str]:
    """How many rollouts are in which phase."""
    done = cluster.exec(["kubectl", "-n", NAMESPACE, "get", "mr", "-o", "jsonpath={.items[*].status.phase}"])
    return Counter(done.stdout.split())


def requests(cluster: EmbeddedCluster, since: float) -> Counter[tuple[str, str]]:
    """Requests of the operator by verb and resource since a moment (Unix seconds)."""
    begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    found: Counter[tuple[str, str]] = Counter()
    for event in cluster.audit():
        agent = str(event.get("userAgent", ""))
        ours = agent.startswith(("modelrollout", "kopf"))
        if ours and event.get("stage") == "ResponseComplete" and str(event.get("requestReceivedTimestamp")) >= begin:
            target: Any = event.get("objectRef") or {}
            found[(str(event.get("verb")), str(target.get("resource", "")))] += 1
    return found


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `aim` is the most it may be, None where there is no aim."""

    name: str
    value: float
    aim: float | None = None
    digits: int = 0

    @property
    def missed(self) -> bool:
        """Whether it is above its aim."""
        return self.aim is not None and self.value > self.aim

    def line(self) -> str:
        """The row of the table."""
        aim = "" if self.aim is None else f"{self.aim:g}"
        verdict = "" if self.aim is None else "missed" if self.missed else "reached"
        return f"{self.name:<42} {self.value:>9.{self.digits}f} {aim:>6}  {verdict}".rstrip()


def prepare(cluster: EmbeddedCluster) -> None:
    """CRDs, a MetricSource that nobody answers, and the namespace."""
    cluster.up("fake")
    routes = sorted(programs.gateway_api_crds().glob("*_httproutes.yaml"))
    cluster.exec(["kubectl", "apply", "--server-side", *(word for path in routes for word in ("-f", path))])
    install(cluster, prometheus="http://127.0.0.1:9")
    cluster.exec(["kubectl", "create", "namespace", NAMESPACE])


def idle(operator: Operator) -> float:
    """Resident MiB of an operator that has nothing to do yet."""
    operator.start()
    time.sleep(SETTLE)
    empty = Usage(operator_pid(operator.port)).rss()
    operator.stop()
    return empty


def looks(operator: Operator) -> float:
    """Looks at rollouts since the operator's start, by its own count; 0 while it does not answer."""
    lines = (operator.get("/metrics") or "").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("modelrollout_reconciles_total{"))


def wait_at_rest(operator: Operator, count: int) -> float:
    """Wait until each of `count` rollouts was looked at and none is any more; returns the time of the last look.

    A phase in the status does not say so: routes may still be due that were less urgent. Monotonic seconds.
    """
    seen, since = -1.0, 0.0

    def still() -> bool:
        nonlocal seen, since
        now, found = time.monotonic(), looks(operator)
        if found != seen:
            seen, since = found, now
        return seen >= count and now - since >= SETTLE

    until("the operator is at rest", still, seconds=600)
    return since


def run(count: int, minutes: float, directory: Path) -> int:
    """The measurement; 0 when every aim is reached."""
    cluster = EmbeddedCluster(f"bench-{os.getpid()}", ephemeral=True)
    operator = Operator(cluster, directory / "operator.log", port=9465)
    try:
        prepare(cluster)
        empty = idle(operator)
        print(f"creating {count} rollouts with their Deployments and Services", flush=True)
        apply(cluster, [thing for index in range(count) for thing in objects(index)])
        operator.start()
        begun = time.monotonic()
        until("every rollout has a phase", lambda: sum(phases(cluster).values()) == count, seconds=600)
        first = time.monotonic() - begun
        begun = time.monotonic()
        apply(cluster, [abort(index) for index in range(count)])
        until("every rollout is at rest", lambda: phases(cluster)["RolledBack"] == count, seconds=900)
        aborted = time.monotonic() - begun
        wait_at_rest(operator, count)
        busy = Usage(operator_pid(operator.port)).peak()
        operator.stop()
        restarted, begun = time.time(), time.monotonic()
        operator.start()  # what a start costs with everything there
        restart = time.monotonic() - begun
        usage = Usage(operator_pid(operator.port))
        looked = wait_at_rest(operator, count) - begun
        since, cpu = time.time() + 1, usage.cpu()
        rss = [usage.rss()]
        print(f"at rest for {minutes:g} min", flush=True)
        begun = time.monotonic()
        while (left := begun + minutes * 60 - time.monotonic()) > 0:
            time.sleep(min(10, left))
            rss.append(usage.rss())
        share = (usage.cpu() - cpu) / (time.monotonic() - begun)
        peak = usage.peak()
        seen, all_since = requests(cluster, since), requests(cluster, restarted)
    except Timeout:
        print(f"phases: {dict(phases(cluster))}\n{operator.tail(20)}", file=sys.stderr)
        raise
    finally:
        cluster.down()
    written = {k: n for k, n in seen.items() if k[0] in WRITES and k[1] != "leases"}
    figures = (
        Figure("rollouts", count),
        Figure("resident memory with no rollout, MiB", empty),
        Figure("resident memory at rest, MiB", max(rss), 150),
        Figure("peak since the start, MiB", peak),
        Figure("peak while all were first seen, MiB", busy),
        Figure("CPU at rest, cores", share, 0.05, 4),
        Figure("writes at rest, Lease aside", sum(written.values()), 0),
        Figure("requests of a restart", sum((all_since - seen).values())),
        Figure("until all are first seen and written, s", first, digits=1),
        Figure("until all are aborted, s", aborted, digits=1),
        Figure("until ready after a restart, s", restart, digits=1),
        Figure("until all are looked at after a restart, s", looked, digits=1),
    )
    print(f"\n{'':<42} {'measured':>9} {'aim':>6}")
    print("\n".join(figure.line() for figure in figures))
    print("requests at rest: " + (", ".join(f"{n} {verb} {what}" for (verb, what), n in seen.items()) or "none"))
    return 1 if any(figure.missed for figure in figures) else 0


def main() -> int:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelrollout-bench-") as directory:
        try:
            return run(arguments.rollouts, arguments.minutes, Path(directory))
        except (ClusterError, BuildError, Timeout) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())

"""A namespace on a real cluster with model servers, a host name at the gateway, load and rollouts.

Demo and scenarios play on it. Everything is done as a user would: kubectl, HTTP through the gateway.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.cluster import gateway
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Cluster, Running
from e2e.models import image, manifests, records
from e2e.models.records import Record

ROOT = Path(__file__).resolve().parent.parent
POLL = 0.1


class Timeout(AssertionError):
    """Something did not come about in time; the message carries what was seen last."""


def until(what: str, look: Callable[[], Any], *, seconds: float) -> Any:
    """Return the first answer that is neither None nor False; raises Timeout after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise Timeout(f"{what}: not within {seconds:g} s")
        time.sleep(POLL)


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a unix socket: reaches a program in the cluster's network from outside."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(str(self._path))


class Load:
    """A running load generator: one record per request in a file, a control endpoint on a unix socket."""

    def __init__(self, running: Running, control: Path, out: Path) -> None:
        self.running, self.control, self.out = running, control, out

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """One request to the control endpoint."""
        connection = UnixConnection(self.control)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def summary(self, window: float = 5.0) -> dict[str, Any]:
        """Measured shares, errors and latencies of the last `window` seconds."""
        return self.ask("GET", f"/summary?window={window:g}")

    def set(self, **settings: object) -> None:
        """Change rate, users and so on while it runs."""
        self.ask("POST", "/settings", settings)

    def records(self) -> list[Record]:
        """What has been recorded so far."""
        return records.read(self.out)

    def stop(self) -> list[Record]:
        """End it in order and return every record."""
        if self.running.poll() is None:
            self.running.stop(grace_s=15)
        return self.records()


class Operator:
    """The operator as a process beside the cluster, as `modelrollout run --kubeconfig` starts it.

    `module`: what Python runs, with arguments that come before those of `modelrollout`; `extra`: such as come after.
    """

    def __init__(
        self,
        cluster: Cluster,
        log: Path,
        *,
        port: int,
        extra: Sequence[str] = (),
        module: Sequence[str | Path] = ("modelrollout",),
    ) -> None:
        self.cluster, self.log, self.port, self.extra, self.module = cluster, log, port, tuple(extra), tuple(module)
        self.running: Running | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            *self.module,
            "run",
            "--kubeconfig",
            self.cluster.kubeconfig,
            "--web",
            f"127.0.0.1:{self.port}",
            "--allow-loopback-sources",
            "--lease-namespace",
            "default",
            *self.extra,
        ]
        with self.log.open("ab") as out:
            self.running = self.cluster.popen(argv, stdout=out.fileno(), stderr=out.fileno())
        until("the operator is ready", self._ready, seconds=30)

    def _ready(self) -> bool:
        if self.running is not None and self.running.poll() is not None:
            raise ClusterError(f"the operator ended:\n{self.tail()}")
        return self.get("/readyz") is not None

    def get(self, path: str) -> str | None:
        """Body of one of its endpoints, None without a 200."""
        url = f"http://127.0.0.1:{self.port}{path}"
        done = self.cluster.exec(["curl", "-sf", "--max-time", "5", url], check=False)
        return done.stdout if done.returncode == 0 else None

    def kill(self) -> None:
        """SIGKILL: no good-bye."""
        if self.running is not None:
            self.running.stop(grace_s=0)

    def stop(self) -> None:
        """SIGTERM and wait."""
        if self.running is not None and self.running.poll() is None:
            self.running.stop(grace_s=10)

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


class Stage:
    """One namespace. `host` is the name its requests carry at the gateway; `told` gives the end of the operator's log,
    for the message when something does not come about.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, directory: Path, *, told: Callable[[], str] | None = None
    ) -> None:
        self.cluster, self.namespace, self.directory, self._told = cluster, namespace, directory, told
        self.host = f"{namespace}.example.com"
        self._loads: list[Load] = []
        directory.mkdir(parents=True, exist_ok=True)

    def kubectl(self, *argv: str | Path, check: bool = True, stdin: str | None = None) -> str:
        """Run kubectl in this namespace and return what it printed."""
        done = self.cluster.exec(["kubectl", "-n", self.namespace, *argv], check=check, input_text=stdin)
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """`kubectl apply` of some objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def refused(self, thing: Mapping[str, Any]) -> str:
        """What `kubectl apply` says about an object that must be refused."""
        argv = ["kubectl", "-n", self.namespace, "apply", "-f", "-"]
        done = self.cluster.exec(argv, check=False, input_text=json.dumps(thing))
        assert done.returncode != 0, done.stdout
        return done.stderr.strip()

    def create(self) -> None:
        """Make the namespace."""
        self.cluster.exec(["kubectl", "create", "namespace", self.namespace])

    def remove(self) -> None:
        """End loads, delete the rollouts (their finalizers need the operator), then the namespace."""
        for load in self._loads:
            load.stop()
        self.kubectl("delete", "modelrollouts", "--all", "--timeout=40s", check=False)
        self.cluster.exec(["kubectl", "delete", "namespace", self.namespace, "--wait=false"], check=False)

    def deploy(self, *arms: manifests.Arm) -> None:
        """Create Deployments and Services and wait until they are available."""
        self.apply(*(thing for arm in arms for thing in manifests.objects(arm)))
        names = [f"deployment/{arm.name}" for arm in arms]
        self.kubectl("wait", "--for=condition=Available", "--timeout=90s", *names)

    def arm(self, name: str, role: str, variant: str, version: str, **more: Any) -> manifests.Arm:
        """An arm of this namespace with the demo image."""
        return manifests.Arm(
            name=name,
            namespace=self.namespace,
            rollout=more.pop("rollout", "tumour"),
            role="legacy" if role == "legacy" else "candidate",
            variant=variant,
            version=version,
            image=image.reference(),
            **more,
        )

    def rollout(
        self,
        *,
        name: str = "tumour",
        legacy: str,
        candidate: str,
        steps: Sequence[Mapping[str, Any]],
        slis: Sequence[Mapping[str, Any]],
        traffic: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> dict[str, Any]:
        """A ModelRollout between two arms; a managed route on this stage's host name unless told otherwise."""
        managed = {
            "parentRefs": [{"name": gateway.GATEWAY, "namespace": gateway.NAMESPACE}],
            "hostnames": [self.host],
        }
        return {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "ModelRollout",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "legacy": {"deployment": legacy},
                "candidate": {"deployment": candidate},
                "port": manifests.PORT,
                "traffic": dict(traffic) if traffic else {"managedRoute": managed, "settle": "1s"},
                "steps": [dict(step) for step in steps],
                "slis": [dict(sli) for sli in slis],
                **spec,
            },
        }

    def get(self, name: str = "tumour") -> dict[str, Any]:
        """The ModelRollout as stored."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "modelrollout", name, "-o", "json"))
        return found

    def status(self, name: str = "tumour") -> dict[str, Any]:
        """Its status, empty before the first write."""
        status: dict[str, Any] = self.get(name).get("status", {})
        return status

    def wait_status(
        self, what: str, ready: Callable[[dict[str, Any]], object], *, seconds: float, name: str = "tumour"
    ) -> dict[str, Any]:
        """Return the first status for which `ready` is true; the last one seen is in the Timeout's message."""
        last: dict[str, Any] = {}

        def look() -> dict[str, Any] | None:
            nonlocal last
            last = self.status(name)
            return last if ready(last) else None

        try:
            found: dict[str, Any] = until(what, look, seconds=seconds)
            return found
        except Timeout as error:
            raise Timeout(f"{error}; {self._last(last)}") from None

    def _last(self, status: Mapping[str, Any]) -> str:
        kept = {k: status.get(k) for k in ("phase", "reason", "message", "weight", "step", "slis")}
        lines = [f"last status: {json.dumps(kept)}"]
        for c in status.get("conditions", ()):
            lines.append(f"  {c['type']}={c['status']} {c['reason']}: {c['message']}")
        for d in status.get("decisions", ())[-5:]:
            lines.append(f"  {d['at']} {d['action']} {d['reason']}: {d['message']}")
        if self._told is not None:
            lines.append(f"the operator's log ends with:\n{self._told()}")
        return "\n".join(lines)

    def wait_phase(self, phase: str, *, seconds: float, name: str = "tumour") -> dict[str, Any]:
        """Wait for a phase."""
        return self.wait_status(f"phase {phase}", lambda s: s.get("phase") == phase, seconds=seconds, name=name)

    def wait_reason(self, reason: str, *, seconds: float, name: str = "tumour") -> dict[str, Any]:
        """Wait for a reason."""
        return self.wait_status(f"reason {reason}", lambda s: s.get("reason") == reason, seconds=seconds, name=name)

    def wait_weight(self, percent: int, *, seconds: float, name: str = "tumour") -> dict[str, Any]:
        """Wait until the status shows this weight."""
        return self.wait_status(
            f"weight {percent}", lambda s: s.get("weight") == str(percent), seconds=seconds, name=name
        )

    def route_weights(self, name: str | None = None) -> list[list[int]]:
        """Weights of every rule of every (or one) HTTPRoute here, as the API server has them."""
        routes = json.loads(self.kubectl("get", "httproutes", "-o", "json"))["items"]
        rules = [r for x in routes if name in (None, x["metadata"]["name"]) for r in x["spec"]["rules"]]
        return [[backend.get("weight", 1) for backend in rule["backendRefs"]] for rule in rules]

    def wait_route(self, weights: list[list[int]], *, seconds: float) -> None:
        """Wait until the rules of the routes have these weights."""
        try:
            until(f"weights {weights}", lambda: self.route_weights() == weights, seconds=seconds)
        except Timeout as error:
            raise Timeout(f"{error} but {self.route_weights()}; {self._last(self.status())}") from None

    @contextmanager
    def watched_weights(self) -> Iterator[list[int]]:
        """Every weight of the candidate that the first HTTPRoute has meanwhile, in order, once the block has ended."""
        what = r'{.spec.rules[0].backendRefs[1].weight}{"\n"}'
        argv = ["kubectl", "-n", self.namespace, "get", "httproutes", "--watch", "-o", f"jsonpath={what}"]
        path, seen = self.directory / "weights.txt", list[int]()
        with path.open("wb") as out:
            running = self.cluster.popen(argv, stdout=out.fileno())
        try:
            yield seen
        finally:
            running.stop(grace_s=1)
        seen.extend(int(line) for line in path.read_text().split())

    def act(self, action: str, *, rollout: str = "tumour", reason: str = "test") -> str:
        """Create a RolloutAction and return its name."""
        thing = {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "RolloutAction",
            "metadata": {"generateName": f"{rollout}-{action.lower()}-", "namespace": self.namespace},
            "spec": {"rollout": rollout, "action": action, "reason": reason},
        }
        made = self.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(thing))
        name: str = json.loads(made)["metadata"]["name"]
        return name

    def load(
        self, rate: float, *, duration: float, label: str = "load", host: str | None = None, extra: Sequence[str] = ()
    ) -> Load:
        """Start load through the gateway at this stage's host name, or another."""
        out, control = self.directory / f"{label}.jsonl", self.directory / f"{label}.sock"
        out.unlink(missing_ok=True)
        control.unlink(missing_ok=True)
        argv: list[str | Path] = [sys.executable, "-m", "e2e.models.load"]
        argv += ["--url", f"http://{gateway.address(self.cluster)}/predict", "--host-header", host or self.host]
        argv += ["--rate", f"{rate:g}", "--duration", f"{duration:g}", "--out", out, "--control-socket", control]
        argv += ["--feedback-delay", "2", "--linger", "0", *extra]
        with (self.directory / f"{label}.log").open("wb") as log:
            running = self.cluster.popen(argv, stdout=log.fileno(), stderr=log.fileno(), env={"PYTHONPATH": str(ROOT)})
        load = Load(running, control, out)
        self._loads.append(load)
        until("the load generator listens", lambda: self._listens(load), seconds=20)
        return load

    def _listens(self, load: Load) -> bool:
        if load.running.poll() is not None:
            raise ClusterError(f"the load generator ended: {load.out.with_suffix('.log').read_text()}")
        return load.control.exists()

    def pods(self, arm: str) -> list[dict[str, Any]]:
        """Pods of an arm."""
        found = self.kubectl("get", "pods", "-l", f"app.kubernetes.io/name={arm}", "-o", "json")
        pods: list[dict[str, Any]] = json.loads(found)["items"]
        return pods

    def behave(self, arm: str, **behaviour: object) -> float:
        """Switch the behaviour of every pod of an arm; returns the wall-clock time of the first switch."""
        times = []
        for pod in self.pods(arm):
            address = pod["status"]["podIP"]
            url = f"http://{address}:{manifests.ADMIN_PORT}/behaviour"
            done = self.cluster.exec(["curl", "-sf", "-X", "POST", "-d", json.dumps(behaviour), url])
            times.append(float(json.loads(done.stdout)["at"]))
        return min(times)


def shell_environment(cluster: Cluster) -> dict[str, str]:
    """Environment in which kubectl on this machine reaches the cluster."""
    return {**os.environ, "KUBECONFIG": str(cluster.host_kubeconfig)}


def run_quiet(argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program, keeping what it prints."""
    return subprocess.run([str(x) for x in argv], check=True, text=True, capture_output=True, **options)

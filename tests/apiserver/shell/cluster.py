"""A small stage for a real operator process: API server, Prometheus, and the hands that no controller lends here."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from e2e.cluster.apiserver import ApiServer
from e2e.cluster.processes import ClusterError
from e2e.cluster.prometheus import Prometheus
from tests.apiserver.beside import beside

NAMESPACE = "default"
PODS = {"v7": "fraud-v7-5d9c7b6f4-aaaaa", "v8": "fraud-v8-7c8d9e0f1-bbbbb"}


@dataclass
class Traffic:
    """Requests of one pod: counts that grow with time; `share` of them are bad from the moment it is set."""

    rate: float = 200.0
    share: float = 0.0
    _since: float = field(default_factory=time.monotonic)
    _total: float = 0.0
    _bad: float = 0.0

    def counts(self) -> tuple[int, int]:
        now = time.monotonic()
        new = (now - self._since) * self.rate
        self._total, self._bad, self._since = self._total + new, self._bad + new * self.share, now
        return int(self._total), int(self._bad)

    def turn(self, share: float) -> None:
        self.counts()
        self.share = share


AVAILABILITY = {
    "name": "availability",
    # Counts of its own: the exporter's requests do not follow the weights, which a profile's would be held against.
    "counts": {"total": {"metric": "requests_total"}, "bad": {"metric": "requests_total", "match": {"code": "500"}}},
    "objective": "99",
}
ANALYSIS = {
    "interval": "1s",
    "warmup": "0s",
    "margin": {"ratio": "2", "difference": "0.05"},
    "tolerance": "5%",
}
"""A margin that a few seconds of requests can prove."""


class Exporter:
    """`/v7` and `/v8` expose the counters of the two pods."""

    def __init__(self, namespace: str = NAMESPACE) -> None:
        self.namespace = namespace
        self.traffic = {version: Traffic() for version in PODS}
        traffic = self.traffic

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                total, bad = traffic[self.path.strip("/")].counts()
                body = (
                    "# TYPE requests_total counter\n"
                    f'requests_total{{code="200"}} {total - bad}\nrequests_total{{code="500"}} {bad}\n'
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def config(self) -> str:
        jobs = "".join(
            f"- job_name: {version}\n  metrics_path: /{version}\n  static_configs:\n"
            f"  - targets: ['{self.address}']\n    labels: {{namespace: {self.namespace}, pod: {pod}}}\n"
            for version, pod in PODS.items()
        )
        return f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}"


class Operator:
    """One operator process; its log is in `log`."""

    def __init__(self, kubeconfig: Path, log: Path, *flags: str, loopback: bool = True) -> None:
        self.log = log
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MODELROLLOUT_")}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "modelrollout", "run", "--kubeconfig", str(kubeconfig)),
                    *("--lease-namespace", NAMESPACE, "--web", "127.0.0.1:0"),
                    *(("--allow-loopback-sources",) if loopback else ()),
                    *flags,
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def url(self) -> str:
        return web_address(self.log.read_text())

    def get(self, path: str) -> tuple[int, str]:
        if not self.url():
            return 0, ""
        try:
            with urllib.request.urlopen(self.url() + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        return self.get("/readyz")[0] == 200

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def web_address(log: str) -> str:
    """Where an operator with this log answers, empty before it does."""
    found = re.search(r"web at (http://\S+?),", log)
    return found.group(1) if found else ""


MANAGED: Mapping[str, Any] = {"managedRoute": {"parentRefs": [{"name": "public"}]}}


class Stage:
    """The API server with what a rollout needs, in one namespace that must exist."""

    def __init__(self, server: ApiServer, namespace: str = NAMESPACE) -> None:
        self.server = server
        self.namespace = namespace

    def get(self, kind: str, name: str) -> dict[str, Any]:
        done = self.server.kubectl("get", kind, name, "-n", self.namespace, "-o", "json", check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else {}
        assert isinstance(found, dict)
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.server.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input_text=text)

    def patch(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        self.server.kubectl(
            *("patch", kind, name, "-n", self.namespace, "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": status})),
        )

    def arms(self) -> None:
        """Two Deployments that are rolled out, with Services and ready endpoints."""
        for version in PODS:
            name = f"fraud-{version}"
            labels = {"app": name}
            pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": f"m:{version}"}]}}
            self.apply(
                self._object(
                    "apps/v1",
                    "Deployment",
                    name,
                    spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
                ),
                self._object(
                    "v1", "Service", name, spec={"selector": labels, "ports": [{"name": "http", "port": 8080}]}
                ),
                {
                    **self._object("discovery.k8s.io/v1", "EndpointSlice", name),
                    "addressType": "IPv4",
                    "ports": [{"name": "http", "port": 8080}],
                    "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
                },
            )
            self.server.kubectl(
                "label",
                "endpointslice",
                name,
                "-n",
                self.namespace,
                f"kubernetes.io/service-name={name}",
                "--overwrite",
            )
            self.patch(
                "deployment",
                name,
                {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
                | {"availableReplicas": 1},
            )

    def source(self, address: str, *, token: str | None = None) -> None:
        """The MetricSource `default`; `token`: name of the Secret with its bearer token."""
        auth = {} if token is None else {"auth": {"bearerToken": {"secret": token, "key": "token"}}}
        self.apply(
            {
                "apiVersion": "modelrollout.dev/v1alpha1",
                "kind": "MetricSource",
                "metadata": {"name": "default"},
                "spec": {"prometheus": {"address": address, **auth}, "scrapeInterval": "1s"},
            }
        )

    def rollout(
        self, name: str = "fraud", *, hold: str = "5s", router: Mapping[str, Any] = MANAGED, profile: str = ""
    ) -> None:
        """`profile`: what its SLI is named by, in place of counts."""
        named = {"name": "availability", "profile": profile, "objective": "99"}
        self.apply(
            self._object(
                "modelrollout.dev/v1alpha1",
                "ModelRollout",
                name,
                spec={
                    "legacy": {"deployment": "fraud-v7"},
                    "candidate": {"deployment": "fraud-v8"},
                    "port": 8080,
                    "traffic": {**router, "settle": "1s"},
                    "steps": [{"weight": w, "minDuration": hold} for w in (5, 50, 100)],
                    "slis": [named if profile else AVAILABILITY],
                    "analysis": ANALYSIS,
                    "errorBudget": {"burn": {"preset": "standard"}},
                },
            )
        )

    def act(self, verb: str) -> None:
        self.apply(
            self._object(
                "modelrollout.dev/v1alpha1",
                "RolloutAction",
                f"fraud-{verb.lower()}",
                spec={"rollout": "fraud", "action": verb, "reason": "test"},
            )
        )

    def accept_routes(self) -> bool:
        """Play the gateway: accept every route's newest generation."""
        done = self.server.kubectl("get", "httproutes", "-n", self.namespace, "-o", "json")
        items = json.loads(done.stdout)["items"]
        for route in items:
            metadata = route["metadata"]
            known = (route.get("status") or {}).get("parents") or []
            if known and known[0]["conditions"][0]["observedGeneration"] == metadata["generation"]:
                continue
            condition = {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": metadata["generation"],
            }
            resolved = {**condition, "type": "ResolvedRefs", "reason": "ResolvedRefs"}
            parent = {
                "parentRef": route["spec"]["parentRefs"][0],
                "controllerName": "example.com/gateway",
                "conditions": [condition, resolved],
            }
            self.patch("httproute", metadata["name"], {"parents": [parent]})
        return bool(items)

    def phase(self, name: str = "fraud") -> str:
        return str((self.get("modelrollout", name).get("status") or {}).get("phase", ""))

    def weights(self) -> tuple[int, ...]:
        done = self.server.kubectl("get", "httproutes", "-n", self.namespace, "-o", "json")
        routes = json.loads(done.stdout)["items"]
        if not routes:
            return ()
        return tuple(int(ref["weight"]) for ref in routes[0]["spec"]["rules"][-1]["backendRefs"])

    def _object(self, version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def wait_until(condition: Callable[[], bool], *, limit: float = 60.0, pause: float = 0.2, why: str = "") -> float:
    """Seconds until the condition held; fails after `limit`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit, f"did not happen within {limit:g} s: {why}"
        time.sleep(pause)
    return time.monotonic() - begun


@contextmanager
def gateway(stage: Stage) -> Iterator[None]:
    """A gateway that accepts routes, until the block ends."""

    def play(over: threading.Event) -> None:
        while not over.wait(0.3):
            with suppress(ClusterError):  # the API server may be away, or the route gone meanwhile
                stage.accept_routes()

    with beside(play):
        yield


@contextmanager
def prometheus(exporter: Exporter) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the exporter each second."""
    with Prometheus(config=exporter.config()) as running:
        yield running

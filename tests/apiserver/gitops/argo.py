"""Plays Argo CD: applies every manifest of a Git tree again and again, by server-side apply that forces conflicts."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.apiserver.beside import beside
from tests.apiserver.gitops.snippet import Application, Object

MANAGER = "argocd-controller"
TRACKING = "argocd.argoproj.io/tracking-id"
PLACES = {
    "Deployment": ("apis/apps/v1", "deployments"),
    "Service": ("api/v1", "services"),
    "MetricSource": ("apis/modelrollout.dev/v1alpha1", "metricsources"),
    "ModelRollout": ("apis/modelrollout.dev/v1alpha1", "modelrollouts"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
}
PRUNED = ("HTTPRoute", "ModelRollout")
"""Kinds that are looked through for objects that Git no longer has."""


class Refused(Exception):
    """The API server's answer to a request that failed. `code`: its HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Api:
    """Requests to the API server of a kubeconfig with a client certificate, as JSON."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self._url = str(cluster["server"])
        # No proxy of the environment may stand between us and loopback.
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        ).open

    def ask(self, method: str, path: str, body: Object | None = None, **query: str) -> Object:
        """The answer's object. Raises Refused."""
        with self.stream(method, path, body, **query) as answer:
            found = json.load(answer)
        assert isinstance(found, dict)
        return found

    def stream(self, method: str, path: str, body: Object | None = None, **query: str) -> Any:
        """The answer as it comes. Raises Refused."""
        request = urllib.request.Request(
            f"{self._url}/{path}?{urllib.parse.urlencode(query)}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/apply-patch+yaml", "User-Agent": MANAGER},
        )
        try:
            return self._open(request, timeout=30)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode()) from error


def place(obj: Object) -> str:
    """Path of an object in the API."""
    group, plural = PLACES[obj["kind"]]
    namespace = obj["metadata"].get("namespace")
    inside = f"namespaces/{namespace}/" if namespace else ""
    return f"{group}/{inside}{plural}/{obj['metadata']['name']}"


class Argo:
    """One Application that syncs `tree`. `syncs` counts those that were carried out."""

    def __init__(self, api: Api, tree: list[Object], application: Application) -> None:
        self.api, self.tree, self.application = api, tree, application
        self.syncs = 0
        self.failures: list[str] = []
        self._turn = threading.Lock()

    def live(self, obj: Object) -> Object | None:
        """The object in the cluster, None when it is not there. Raises Refused."""
        try:
            return self.api.ask("GET", place(obj))
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def sync(self) -> None:
        """Apply everything, then delete what Git no longer has. Raises Refused."""
        with self._turn:
            for wanted in list(self.tree):
                self._applied(wanted)
            self._prune()
            self.syncs += 1

    def apply(self, wanted: Object, live: Object | None) -> None:
        """Apply one manifest for a live object that was read at some time before. Raises Refused."""
        self._put(self.application.target(_tracked(wanted), live))

    def out_of_sync(self) -> list[str]:
        """Objects that differ from Git, by Argo CD's server-side comparison: apply without doing it, then compare."""
        return [f"{o['kind']} {o['metadata']['name']}" for o in list(self.tree) if self._differs(o)]

    @contextmanager
    def every(self, seconds: float) -> Iterator[None]:
        """While the block runs a sync begins each time `seconds` have passed since the last one ended."""

        def play(over: threading.Event) -> None:
            while not over.is_set():
                try:
                    self.sync()
                except (Refused, OSError) as error:
                    self.failures.append(repr(error))
                over.wait(seconds)

        with beside(play):
            yield

    def _applied(self, wanted: Object) -> None:
        # Argo CD reads, then writes what it read. What comes of a change in between has a test of its own; here the
        # version that was read goes along, and the server refuses the write of a sync that is late.
        while True:
            live = self.live(wanted)
            target = self.application.target(_tracked(wanted), live)
            if live is not None and wanted["kind"] == "HTTPRoute":
                version = live["metadata"]["resourceVersion"]
                target = {**target, "metadata": {**target["metadata"], "resourceVersion": version}}
            try:
                return self._put(target)
            except Refused as error:
                if error.code != 409:
                    raise

    def _put(self, target: Object, **more: str) -> None:
        self.api.ask("PATCH", place(target), target, fieldManager=MANAGER, force="true", **more)

    def _prune(self) -> None:
        kept = {place(obj) for obj in self.tree}
        spaces = {obj["metadata"]["namespace"] for obj in self.tree if "namespace" in obj["metadata"]}
        for kind in PRUNED:
            group, plural = PLACES[kind]
            for space in spaces:
                for found in self.api.ask("GET", f"{group}/namespaces/{space}/{plural}")["items"]:
                    path = f"{group}/namespaces/{space}/{plural}/{found['metadata']['name']}"
                    if TRACKING in (found["metadata"].get("annotations") or {}) and path not in kept:
                        self.api.ask("DELETE", path)

    def _differs(self, wanted: Object) -> bool:
        live = self.live(wanted)
        if live is None:
            return True
        query = {"fieldManager": MANAGER, "force": "true", "dryRun": "All"}
        predicted = self.api.ask("PATCH", place(wanted), _tracked(wanted), **query)
        return self._compared(predicted) != self._compared(live)

    def _compared(self, obj: Object) -> Object:
        served = {"managedFields", "resourceVersion", "generation"}
        metadata = {key: value for key, value in obj["metadata"].items() if key not in served}
        shown = {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}
        return self.application.normalized(shown)


def _tracked(obj: Object) -> Object:
    metadata = obj["metadata"]
    annotations = {**metadata.get("annotations", {}), TRACKING: f"serving:{obj['kind']}/{metadata['name']}"}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}

"""Every version of an HTTPRoute that the API server's watch told, and who wrote its rules."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException

from tests.apiserver.beside import beside
from tests.apiserver.gitops.argo import PLACES, Api, Refused
from tests.apiserver.gitops.snippet import Object


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version. `percent`: the candidate's share of its last rule; `owners`: managers of `spec.rules`."""

    percent: float
    generation: int
    owners: frozenset[str]


class History:
    """Versions of the routes of one namespace, in order; there is one route."""

    def __init__(self, candidate: str) -> None:
        self.candidate = candidate
        self.versions: list[Version] = []
        self.ended = ""

    @property
    def walk(self) -> list[float]:
        """The candidate's shares, each as often as it came anew."""
        shares = [version.percent for version in self.versions]
        return [share for i, share in enumerate(shares) if i == 0 or share != shares[i - 1]]

    def moves_by(self, manager: str) -> int:
        """How often this manager alone held the rules after the share had changed."""
        pairs = zip(self.versions, self.versions[1:], strict=False)
        return sum(a.percent != b.percent and b.owners == {manager} for a, b in pairs)

    def changes(self) -> int:
        """Versions that differ from the one before in their spec."""
        pairs = zip(self.versions, self.versions[1:], strict=False)
        return sum(a.generation != b.generation for a, b in pairs)

    def take(self, route: Object) -> None:
        """One more version."""
        backends = route["spec"]["rules"][-1]["backendRefs"]
        weights = {ref["name"]: ref.get("weight", 1) for ref in backends}
        total = sum(weights.values())
        percent = 100 * weights.get(self.candidate, 0) / total if total else 0.0
        owners = frozenset(
            entry["manager"]
            for entry in route["metadata"].get("managedFields", ())
            if "f:rules" in entry["fieldsV1"].get("f:spec", {}) and not entry.get("subresource")
        )
        self.versions.append(Version(percent, route["metadata"]["generation"], owners))

    @contextmanager
    def watched(self, api: Api, namespace: str) -> Iterator[None]:
        """Watch while the block runs, without a gap."""
        group, plural = PLACES["HTTPRoute"]
        path = f"{group}/namespaces/{namespace}/{plural}"
        listed = api.ask("GET", path)
        assert not listed["items"], "the history begins before the route"

        def told(version: str) -> Iterator[Object]:
            with api.stream("GET", path, watch="1", timeoutSeconds="5", resourceVersion=version) as lines:
                for line in lines:
                    yield json.loads(line)

        def watch(over: threading.Event) -> None:
            version = listed["metadata"]["resourceVersion"]
            while not over.is_set() and not self.ended:
                # A connection that ends early loses nothing: the next one begins where it was.
                with suppress(OSError, HTTPException, json.JSONDecodeError):
                    try:
                        for event in told(version):
                            version = event["object"]["metadata"]["resourceVersion"]
                            if event["type"] in ("ADDED", "MODIFIED"):
                                self.take(event["object"])
                    except (Refused, KeyError) as error:
                        self.ended = repr(error)

        with beside(watch):
            yield
        assert not self.ended, self.ended

"""The operators of a cluster, as their Deployments tell: where, which version, which account, which namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelrollout.cli.fields import Fields

SELECTOR = "app.kubernetes.io/part-of=modelrollout"
"""Label of the chart's objects."""
VERSION = "app.kubernetes.io/version"
COMPONENT = "app.kubernetes.io/component"
LEASE = "modelrollout-operator"
"""Name of the Lease where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One operator. `namespaces`: those it serves, empty for all. `version`: of its label, else its image's tag."""

    namespace: str
    name: str
    version: str
    image: str
    account: str
    lease: str
    namespaces: tuple[str, ...]
    wanted: int
    ready: int
    updated: bool

    @property
    def place(self) -> str:
        """`modelrollout/operator`."""
        return f"{self.namespace}/{self.name}"

    def serves(self, namespace: str) -> bool:
        """Whether rollouts of this namespace are its business."""
        return not self.namespaces or namespace in self.namespaces


def operators(deployments: Iterable[Mapping[str, Any]]) -> Iterator[Installed]:
    """The operators among the Deployments of the chart; it may bring others."""
    for body in deployments:
        obj = Fields(body)
        pod = obj.part("spec", "template")
        if pod.part("metadata", "labels").text(COMPONENT) == "operator":
            yield _operator(obj, pod)


def _operator(obj: Fields, pod: Fields) -> Installed:
    meta, status = obj.part("metadata"), obj.part("status")
    container = next(iter(pod.part("spec").items("containers")), Fields({}))
    env = {each.text("name"): each.text("value") for each in container.items("env")}
    wanted = obj.part("spec").count("replicas")
    total = status.count("replicas") or 0
    image = container.text("image")
    return Installed(
        namespace=meta.text("namespace"),
        name=meta.text("name"),
        version=meta.part("labels").text(VERSION) or tag(image),
        image=image,
        account=pod.part("spec").text("serviceAccountName") or "default",
        lease=env.get("MODELROLLOUT_LEASE_NAME") or LEASE,
        namespaces=tuple(filter(None, (each.strip() for each in env.get("MODELROLLOUT_NAMESPACE", "").split(",")))),
        wanted=1 if wanted is None else wanted,
        ready=status.count("readyReplicas") or 0,
        updated=(status.count("updatedReplicas") or 0) == total
        and (status.count("observedGeneration") or 0) >= (meta.count("generation") or 0),
    )


def tag(image: str) -> str:
    """Tag of an image reference; empty when it has none."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def agrees(client: str, server: str) -> bool:
    """Whether two versions are the same release line: 0.x minors differ, a patch or a pre-release does not."""
    return _line(client) == _line(server)


def _line(version: str) -> tuple[str, ...]:
    parts = version.removeprefix("v").partition("+")[0].partition("-")[0].split(".")
    return tuple(parts[: 2 if parts[0] == "0" else 1])

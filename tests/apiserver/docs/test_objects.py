"""Every whole object that examples and pages show is accepted by a real API server, as kubectl sends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.apiserver.docs.conftest import ROOT, Reader, objects
from tests.layout.documents import blocks, pages

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]

YAML = frozenset({"yaml", "yml"})
ELSEWHERE = ROOT / "examples" / "rbac.yaml"
"""Objects in a namespace that the same file makes: tests of the operator inside a cluster apply them."""

FLUX = ROOT / "examples" / "flux"
"""Objects of Flux, whose CRDs are not there; tests/contract/gitops has Flux's own code read them."""

NOTIFICATIONS = ROOT / "examples" / "notifications.yaml"
"""A file for the operator and no object: tests/unit/api reads it."""

SCENARIOS = ROOT / "examples" / "scenarios"
"""Beside its rollout, files for `modelrollout simulate`: no objects. Its own tests read them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A text with whole objects, and where it stands."""

    where: str
    text: str


def shown() -> Iterator[Shown]:
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        text = path.read_text()
        if (
            path in (ELSEWHERE, NOTIFICATIONS)
            or path.parent == FLUX
            or (path.parent == SCENARIOS and not objects(text))
        ):
            continue
        yield Shown(str(path.relative_to(ROOT)), text)
    for page in pages():
        for number, block in enumerate(blocks(page)):
            if block.language in YAML and objects(block.text):
                yield Shown(f"{page.relative_to(ROOT)}/{number}", block.text)


EVERY = list(shown())


def test_examples_and_pages_are_looked_at() -> None:
    kinds = {(Path(item.where).parts[0], obj["kind"]) for item in EVERY for obj in objects(item.text)}
    ours = {"ModelRollout", "MetricSource", "RolloutAction", "SliProfile"}
    others = ("HTTPRoute", "Ingress", "VirtualService", "TraefikService", "IngressRoute", "Service")
    assert kinds == {("README.md", "ModelRollout"), *(("docs", kind) for kind in others)} | {
        (where, kind) for where in ("examples", "docs") for kind in ours
    }


@pytest.mark.parametrize("item", EVERY, ids=lambda item: item.where)
def test_is_accepted(reader: Reader, crds: None, item: Shown) -> None:
    printed = reader.types("kubectl create --dry-run=server -f -", item.text)
    assert printed.count("created (server dry run)") == len(objects(item.text))


def test_an_unknown_field_would_be_refused(reader: Reader, crds: None) -> None:
    (rollout,) = objects((ROOT / "examples" / "smallest.yaml").read_text())
    rollout["spec"]["nonsense"] = 1
    complaint = reader.refused("kubectl create --dry-run=server -f -", yaml.safe_dump(rollout))
    assert 'unknown field "spec.nonsense"' in complaint

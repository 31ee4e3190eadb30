"""The CustomResourceDefinitions, generated from the API models and committed to `crds/`.

`python -m modelrollout.api.crd --write crds` writes them, `--check crds` fails when the files are not what the models
say. `--docs FILE` does the same for the reference page: written with `--write` or alone, compared with `--check`.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from modelrollout.api import v1alpha1
from modelrollout.api.profile import LONGEST
from modelrollout.api.reference import reference
from modelrollout.api.rules import VALIDATIONS, Rule
from modelrollout.api.schema import structural
from modelrollout.api.status_decode import INITIAL
from modelrollout.catalog.reading import builtin

HEADER = "# Generated from the API models by `make crds`. Do not edit.\n"
_DIFF_LINES = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; `wide` ones appear with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def as_schema(self) -> dict[str, Any]:
        """Entry of `additionalPrinterColumns`."""
        entry: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**entry, "priority": 1} if self.wide else entry


AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource: its names, its models and its columns."""

    name: str
    plural: str
    short: str
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel] | None
    columns: tuple[Column, ...]
    initial: Mapping[str, Any] | None = None
    """The status that readers see before the first one is written."""
    rules: tuple[Rule, ...] = ()
    """Of the whole object: what its name may be."""


KINDS = (
    Kind(
        name="ModelRollout",
        plural="modelrollouts",
        short="mr",
        scope="Namespaced",
        description="Moves traffic from one Deployment of a model to another in steps, and back when the error budget"
        " burns.",
        spec=v1alpha1.RolloutSpec,
        status=v1alpha1.RolloutStatus,
        columns=(
            Column("Phase", ".status.phase"),
            Column("Step", ".status.summary.step"),
            Column("Weight", ".status.summary.weight"),
            Column("Verdict", ".status.summary.verdict"),
            Column("Burn", ".status.summary.burn"),
            Column("Legacy", ".spec.legacy.deployment", wide=True),
            Column("Candidate", ".spec.candidate.deployment", wide=True),
            Column("Reason", ".status.reason", wide=True),
            Column("Next", ".status.summary.next", wide=True),
            AGE,
        ),
        initial=INITIAL,
    ),
    Kind(
        name="MetricSource",
        plural="metricsources",
        short="ms",
        scope="Cluster",
        description="Where Prometheus is, who may use it, and how the arms of a rollout are told apart.",
        spec=v1alpha1.SourceSpec,
        status=None,
        columns=(
            Column("Address", ".spec.prometheus.address"),
            Column("Arms", ".spec.arms.by", wide=True),
            AGE,
        ),
    ),
    Kind(
        name="SliProfile",
        plural="sliprofiles",
        short="sp",
        scope="Cluster",
        description="Which metrics of a server make which SLI, beside the profiles that come with modelrollout.",
        spec=v1alpha1.SliProfileSpec,
        status=v1alpha1.SliProfileStatus,
        columns=(
            Column("SLIs", ".status.slis"),
            Column("Accepted", '.status.conditions[?(@.type=="Accepted")].status'),
            Column("Message", '.status.conditions[?(@.type=="Accepted")].message', wide=True),
            AGE,
        ),
        rules=(
            Rule(
                f"self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{{0,{LONGEST - 2}}}[a-z0-9])?$')",
                f"metadata.name must be lower case letters, digits and dashes, at most {LONGEST}",
            ),
            Rule(
                f"!(self.metadata.name in [{', '.join(repr(name) for name in builtin().profiles)}])",
                "metadata.name is that of a profile that comes with modelrollout, and rollouts mean that one: choose"
                " another name, such as one that begins with your organisation's",
            ),
        ),
    ),
    Kind(
        name="RolloutAction",
        plural="rolloutactions",
        short="mra",
        scope="Namespaced",
        description="What a person orders at run time: abort, promote, pause, resume, approve, retry.",
        spec=v1alpha1.ActionSpec,
        status=v1alpha1.ActionStatus,
        columns=(
            Column("Rollout", ".spec.rollout"),
            Column("Action", ".spec.action"),
            Column("Result", ".status.result"),
            Column("Reason", ".spec.reason", wide=True),
            Column("Message", ".status.message", wide=True),
            AGE,
        ),
    ),
)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind. Raises SchemaError when a model can't be told."""
    properties: dict[str, Any] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": structural(kind.spec),
    }
    if kind.status is not None:
        properties["status"] = structural(kind.status)
        if kind.initial is not None:
            properties["status"]["default"] = dict(kind.initial)
    version: dict[str, Any] = {
        "name": v1alpha1.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.as_schema() for column in kind.columns],
        "schema": {
            "openAPIV3Schema": {
                "description": kind.description,
                "type": "object",
                "required": ["spec"],
                "properties": properties,
                **({VALIDATIONS: [rule.as_schema() for rule in kind.rules]} if kind.rules else {}),
            }
        },
    }
    if kind.status is not None:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{v1alpha1.GROUP}"},
        "spec": {
            "group": v1alpha1.GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["ml"],
            },
            "scope": kind.scope,
            "versions": [version],
        },
    }


def files() -> Mapping[str, str]:
    """File name -> content of every generated CRD."""
    return {
        f"{v1alpha1.GROUP}_{kind.plural}.yaml": HEADER
        + yaml.safe_dump(definition(kind), sort_keys=False, width=110, allow_unicode=True)
        for kind in KINDS
    }


def docs() -> str:
    """The reference page of every kind, Markdown."""
    return reference([(definition(kind), kind.short) for kind in KINDS])


def main(argv: Sequence[str] | None = None) -> int:
    """Write or compare; 1 when something is not current."""
    parser = argparse.ArgumentParser(prog="python -m modelrollout.api.crd", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", type=Path, metavar="DIR", help="write the CRDs there")
    mode.add_argument("--check", type=Path, metavar="DIR", help="fail when the CRDs there are not current")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="the reference page: written, or compared by --check")
    options = parser.parse_args(argv)
    directory = options.write or options.check
    wanted = {directory / name: content for name, content in files().items()} if directory else {}
    if options.docs:
        wanted[options.docs] = docs()
    if not wanted:
        parser.error("one of --write, --check and --docs is needed")
    if options.check is None:
        for path, content in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return 0
    stale = [report for path, content in wanted.items() if (report := _difference(path, content))]
    stale += [f"{path}: no model makes this file; remove it" for path in _strangers(options.check, wanted)]
    for report in stale:
        print(report, file=sys.stderr)
    if stale:
        print("run `make crds` and commit the result", file=sys.stderr)
    return 1 if stale else 0


def _difference(path: Path, content: str) -> str:
    if not path.is_file():
        return f"{path}: missing"
    lines = list(
        difflib.unified_diff(path.read_text().splitlines(), content.splitlines(), str(path), "models", "", "", 1, "")
    )
    more = [f"... {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return "\n".join([*lines[:_DIFF_LINES], *more])


def _strangers(directory: Path, wanted: Mapping[Path, str]) -> list[Path]:
    return sorted(path for path in directory.glob(f"{v1alpha1.GROUP}_*.yaml") if path not in wanted)


if __name__ == "__main__":
    sys.exit(main())

"""The Helm chart: its generated parts (`python -m e2e.chart --write`, `--check`), and helm's commands on it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import helm
from e2e.dashboards import DASHBOARDS
from e2e.dashboards.grafana import text
from e2e.stage import ROOT

CHART = ROOT / "charts" / "modelrollout"
CRDS = ROOT / "crds"
COPIES = CHART / "crds-source"
MONITORING = CHART / "monitoring"
IMAGE = "modelrollout.dev/operator"


def main(argv: Sequence[str] | None = None) -> int:
    """Write what is generated, or say what is not current. Exit code 1 when something is not."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chart", description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args(argv)
    if args.write:
        for path, text in generated().items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    stale = outdated()
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not current: run `make chart`", file=sys.stderr)
    return 1 if stale else 0


def outdated() -> list[Path]:
    """Generated files that are not as they would be written now, and CRDs that no longer are."""
    wanted = generated()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return wrong + [path for path in sorted((*COPIES.glob("*"), *MONITORING.glob("*.json"))) if path not in wanted]


def generated() -> dict[Path, str]:
    """Text of every generated file: copies of the CRDs (a chart can't read outside of itself), dashboards, README."""
    copies = {COPIES / path.name: path.read_text() for path in sorted(CRDS.glob("*.yaml"))}
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    pages = {MONITORING / f"{each.name}.json": text(each) for each in DASHBOARDS}
    return {**copies, **pages, CHART / "README.md": "\n".join(readme(schema, values)) + "\n"}


def readme(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Lines of the chart's README: every value, its default, its bounds and what it does."""
    yield "# Chart `modelrollout`"
    yield ""
    yield "How to install, upgrade and remove it: [run the operator](../../docs/how-to/run-the-operator.md)."
    yield "Unknown values are refused. Written by `make chart` from `values.schema.json` and `values.yaml`."
    yield ""
    yield "| value | default | allowed | meaning |"
    yield "|---|---|---|---|"
    for name, field, default in leaves(schema, values):
        yield f"| `{name}` | `{json.dumps(default)}` | {_allowed(field)} | {field['description']} |"


def leaves(
    schema: Mapping[str, Any], values: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Dotted name, schema and default of every value. Raises KeyError for one without a default."""
    for name, field in schema["properties"].items():
        if prefix + name == "global":
            continue
        if "properties" in field:
            yield from leaves(field, values[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field, values[name]


def _allowed(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = {"array": "list", "object": "map", "boolean": "true or false"}.get(field["type"], field["type"])
    if "minimum" in field:
        return f"{kind}, {field['minimum']} to {field['maximum']}"
    if field["type"] == "array" and "items" in field and "minimum" in field["items"]:
        return f"{kind}, {field['items']['minimum']} to {field['items']['maximum']}"
    return str(kind)


def rendered(*flags: str, release: str = "modelrollout", namespace: str = "modelrollout") -> list[dict[str, Any]]:
    """Objects that `helm template` prints. Raises Refused."""
    done = run("template", release, str(CHART), "--namespace", namespace, *flags)
    return [obj for obj in yaml.safe_load_all(done) if obj]


class Refused(Exception):
    """Helm does not do it; the text is what it prints."""


def run(*argv: str) -> str:
    """What helm prints. Raises Refused."""
    done = subprocess.run([helm.binary(), *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        # `helm lint` says what is wrong on its standard output.
        raise Refused(done.stderr + done.stdout)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

"""Manifests of the user: ModelRollouts, and the MetricSources beside them if there are any."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modelrollout.api.convert import to_source, to_spec
from modelrollout.catalog.profiles import Profile
from modelrollout.cli import profile_files
from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import SpecProblem
from modelrollout.errors import SpecError
from modelrollout.ports import SourceSpec

STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What files say of one rollout. `source` is None when they hold no MetricSource that the rollout names.
    `profiles`: of the cluster, by name, every one that the rollout names among them.
    """

    spec: RolloutSpec
    source: SourceSpec | None
    profiles: Mapping[str, Profile] = field(default_factory=dict)


def load(path: Path, profiles: Sequence[Path] = ()) -> Manifest:
    """The one ModelRollout of a YAML file, see `load_all`. Raises SpecError, also when there is no file or several."""
    try:
        found = load_all(path, profiles)
    except OSError as error:
        raise SpecError(f"{error.strerror or type(error).__name__}; name a manifest", subject=str(path)) from None
    if len(found) != 1:
        raise SpecError(f"must hold one ModelRollout, holds {len(found)}", subject=str(path))
    return found[0]


def load_all(path: Path, profiles: Sequence[Path] = ()) -> Sequence[Manifest]:
    """The ModelRollouts of a YAML file (`-`: of stdin), at least one, checked as the operator checks them.

    An object without a namespace is taken to be in `default`. Objects of other kinds are left out. `profiles`: files
    with SliProfiles beside those of this one. Raises SpecError in words, and OSError when the file can't be read.
    """
    name = "stdin" if path == STDIN else str(path)
    try:
        text = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        documents = list(yaml.safe_load_all(text.decode("utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"is no YAML ({type(error).__name__}{_place(error)})", subject=name) from None
    objects = [each for document in documents for each in items(document)]
    sources = {source.name: source for source in (_source(obj, name) for obj in objects) if source}
    specs = [_spec(obj, name) for obj in objects if _kind(obj) == "ModelRollout"]
    if not specs:
        raise SpecError("must hold one ModelRollout, holds 0", subject=name)
    own = {**profile_files.read(profiles), **profile_files.among(objects, name)}
    for spec in specs:
        for place, problem in profile_files.problems(spec, own):
            raise SpecError(f"{place}: {problem}", subject=f"{name}: ModelRollout {spec.key.name!r}")
    return [Manifest(spec, sources.get(spec.analysis.metric_source), own) for spec in specs]


def _spec(obj: Mapping[str, Any], file: str) -> RolloutSpec:
    found = to_spec(_placed(obj), strict=True)
    if isinstance(found, SpecProblem):
        raise SpecError(found.problem, subject=f"{file}: ModelRollout {_name(obj)}")
    return found


def _source(obj: Mapping[str, Any], file: str) -> SourceSpec | None:
    if _kind(obj) != "MetricSource":
        return None
    found = to_source(_placed(obj), strict=True)
    if isinstance(found, SpecProblem):
        raise SpecError(found.problem, subject=f"{file}: MetricSource {_name(obj)}")
    return found.spec


def items(document: object) -> list[Mapping[str, Any]]:
    """The objects of a YAML document: itself, or those of a List."""
    if not isinstance(document, Mapping):
        return []
    items = document.get("items")
    if _kind(document) == "List" and isinstance(items, list):
        return [item for item in items if isinstance(item, Mapping)]
    return [document]


def _kind(obj: Mapping[str, Any]) -> object:
    return obj.get("kind")


def _name(obj: Mapping[str, Any]) -> str:
    meta = obj.get("metadata")
    return repr(str(meta.get("name"))) if isinstance(meta, Mapping) and meta.get("name") else "without a name"


def _placed(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = obj.get("metadata")
    return {**obj, "metadata": {"namespace": "default", **meta}} if isinstance(meta, Mapping) else obj


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" at line {mark.line + 1}" if mark else ""

"""Manifests of the user: a ModelRollout, and the MetricSource beside it if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelrollout.api.convert import to_source, to_spec
from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import SpecProblem
from modelrollout.errors import SpecError
from modelrollout.ports import SourceSpec


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file says. `source` is None when it holds no MetricSource that the rollout names."""

    spec: RolloutSpec
    source: SourceSpec | None


def load(path: Path) -> Manifest:
    """The one ModelRollout of a YAML file, checked as the operator checks it. Raises SpecError.

    An object without a namespace is taken to be in `default`, and one without a uid as not created yet.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(f"{error.strerror or type(error).__name__}; name a manifest", subject=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"is no YAML ({type(error).__name__}{_place(error)})", subject=str(path)) from None
    rollouts = [obj for obj in documents if _kind(obj) == "ModelRollout"]
    if len(rollouts) != 1:
        raise SpecError(f"must hold one ModelRollout, holds {len(rollouts)}", subject=str(path))
    spec = to_spec(_placed(rollouts[0]), strict=True)
    if isinstance(spec, SpecProblem):
        raise SpecError(spec.problem, subject=str(path))
    for obj in documents:
        if _kind(obj) == "MetricSource":
            source = to_source(_placed(obj), strict=True)
            if isinstance(source, SpecProblem):
                raise SpecError(f"MetricSource: {source.problem}", subject=str(path))
            if source.spec.name == spec.analysis.metric_source:
                return Manifest(spec, source.spec)
    return Manifest(spec, None)


def _kind(obj: object) -> object:
    return obj.get("kind") if isinstance(obj, Mapping) else None


def _placed(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = obj.get("metadata")
    return {**obj, "metadata": {"namespace": "default", **meta}} if isinstance(meta, Mapping) else obj


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" at line {mark.line + 1}" if mark else ""

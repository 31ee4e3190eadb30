"""What Argo CD leaves out of a comparison and takes from the live object: `ignoreDifferences` of an Application.

As Argo CD does it (controller/sync.go, util/argo/normalizers): the ignored paths are deleted from the live object and
from Git's; what the deletion took from the live object is a JSON merge patch, and a merge patch replaces a list as a
whole. So one ignored field in an entry of a list of a custom resource brings the whole list from the live object.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.layout.documents import DOCS, blocks

PAGE = DOCS / "how-to" / "gitops.md"
RESPECT = "RespectIgnoreDifferences=true"

_STEP = re.compile(r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<each>\[\])(?P<lenient>\??)")

Object = dict[str, Any]


class CannotIterate(Exception):
    """What jq says of `[]` on something that is no list: the whole expression has no effect."""


@dataclass(frozen=True, slots=True)
class Application:
    """The parts of an Application that decide about foreign fields. `ignored`: jq paths by group and kind."""

    ignored: Mapping[tuple[str, str], tuple[str, ...]]
    respected: bool

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Application:
        """From the `spec` of an Application."""
        found = {(e["group"], e["kind"]): tuple(e["jqPathExpressions"]) for e in spec.get("ignoreDifferences", ())}
        options = (spec.get("syncPolicy") or {}).get("syncOptions", ())
        return cls(found, RESPECT in options)

    def normalized(self, obj: Object) -> Object:
        """A copy without the ignored fields. An expression that jq refuses is left out without a word."""
        group, _, _ = obj["apiVersion"].rpartition("/")
        for path in self.ignored.get((group, obj["kind"]), ()):
            obj = _deleted(obj, path)
        return obj

    def target(self, wanted: Object, live: Object | None) -> Object:
        """What a sync applies for `wanted` of Git."""
        if live is None or not self.respected:
            return wanted
        kept = _merge_patch(_bare(self.normalized(live)), _bare(live))
        merged = _merged(self.normalized(wanted), kept)
        assert isinstance(merged, dict)
        return merged


def documented() -> Application:
    """The Application of the how-to page."""
    (spec,) = (
        found["spec"]
        for block in blocks(PAGE)
        if block.language == "yaml"
        for found in yaml.safe_load_all(block.text)
        if isinstance(found, dict) and "ignoreDifferences" in found.get("spec", {})
    )
    return Application.of(spec)


NOTHING_IGNORED = Application({}, respected=False)


def _deleted(obj: Object, path: str) -> Object:
    matches = list(_STEP.finditer(path))
    assert "".join(m[0] for m in matches) == path, f"not a path that this player reads: {path}"
    steps = [(m["name"], bool(m["lenient"])) for m in matches]
    *way, (last, _) = steps
    assert last, f"a path ends in a field: {path}"
    found = copy.deepcopy(obj)
    try:
        for place in list(_places(found, way)):
            if isinstance(place, dict):
                place.pop(last, None)
    except CannotIterate:
        return obj
    return found


def _places(value: Any, way: list[tuple[str | None, bool]]) -> Iterator[Any]:
    if not way:
        yield value
        return
    (name, lenient), *rest = way
    if name is not None:
        yield from _places(value.get(name) if isinstance(value, dict) else None, rest)
    elif isinstance(value, list):
        for each in value:
            yield from _places(each, rest)
    elif not lenient:
        raise CannotIterate


def _bare(obj: Object) -> Object:
    # Status belongs to its controller and is never taken along; the rest of metadata is not Git's to apply.
    metadata = {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _merge_patch(before: Any, after: Any) -> Object:
    """RFC 7386, for fields that came; here nothing ever goes."""
    patch: Object = {}
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            inner = _merge_patch(before[key], value)
            if inner:
                patch[key] = inner
        elif before.get(key) != value:
            patch[key] = value
    return patch


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    base = value if isinstance(value, dict) else {}
    return {**base, **{key: _merged(base.get(key), each) for key, each in patch.items()}}

"""`modelrollout lint`: manifests checked as the operator checks them, without a cluster."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrollout.cli import screen
from modelrollout.cli.complaints import clean
from modelrollout.cli.exits import INVALID, OK, fail
from modelrollout.cli.profile_files import Files

if TYPE_CHECKING:
    from modelrollout.catalog.profiles import Profile

GROUP, VERSION = "modelrollout.dev", "v1alpha1"
KINDS = ("ModelRollout", "MetricSource", "RolloutAction", "SliProfile")
STDIN = Path("-")
_NEXT = re.compile(r"; (?=(?:spec|metadata)\b[^ ]*: )")
_FIELD = re.compile(r"(?P<path>(?:spec|metadata)[^ :]*): (?P<problem>.*)", re.DOTALL)


class Output(StrEnum):
    """Format of what is found."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem. `line`: from 1; `field`: empty when it is not about one."""

    file: str
    line: int
    kind: str
    name: str
    field: str
    problem: str


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML manifests; - reads stdin.")],
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    profiles: Files = None,
) -> None:
    """Check manifests as the operator does, offline, and name the line of each problem.

    Profiles that SLIs name must be built in, in one of FILE, or in --profiles. Objects of other kinds are left out;
    unknown fields are problems. Exit codes: 0 nothing is wrong, 5 something is, 1 a file can't be read or holds no
    object of ours, 2 usage.
    """
    found: list[Finding] = []
    checked = 0
    texts: list[tuple[str, str]] = []
    for file in files:
        name = "stdin" if file == STDIN else str(file)
        try:
            text = (sys.stdin.buffer.read() if file == STDIN else file.read_bytes()).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "is no UTF-8 text"
            fail(f"{name}: {why}; name a manifest that can be read")
        texts.append((name, text))
    own = _profiles(texts, profiles or [])
    for name, text in texts:
        count, problems = check(name, text, own)
        checked += count
        found += problems
    if output is Output.JSON:
        screen.put(json.dumps({"objects": checked, "problems": [asdict(each) for each in found]}, indent=2) + "\n")
    else:
        screen.put(
            "".join(f"{sentence(each)}\n" for each in found) or f"nothing is wrong in {checked} of our objects\n"
        )
    if not checked and not found:
        fail(f"no {', '.join(KINDS)} in {', '.join(map(str, files))}; name their manifests")
    raise typer.Exit(INVALID if found else OK)


def sentence(found: Finding) -> str:
    """`rollout.yaml:12: ModelRollout "fraud": spec.steps[0].weight: must be ...`."""
    which = f"{found.kind} {json.dumps(found.name)}: " if found.kind else ""
    field = f"{found.field}: " if found.field else ""
    return clean(f"{found.file}:{found.line}: {which}{field}{found.problem}")


def _profiles(texts: Sequence[tuple[str, str]], files: Sequence[Path]) -> Mapping[str, Profile]:
    """Those of --profiles, and those that are right in the manifests; what is wrong with the others is found there."""
    import yaml

    from modelrollout.cli import profile_files
    from modelrollout.cli.manifest import items
    from modelrollout.errors import SpecError

    try:
        found = profile_files.read(files)
    except SpecError as error:
        fail(f"--profiles: {error}")
    for name, text in texts:
        with suppress(yaml.YAMLError, RecursionError):
            for each in (each for document in yaml.safe_load_all(text) for each in items(document)):
                with suppress(SpecError):
                    found |= profile_files.among([each], name)
    return found


def check(file: str, text: str, profiles: Mapping[str, Profile] | None = None) -> tuple[int, list[Finding]]:
    """How many objects of ours there are, and what is wrong with them. `profiles`: of the cluster, by name."""
    import yaml

    from modelrollout.cli.lines import documents

    found: list[Finding] = []
    count = 0
    try:
        for document in documents(text):
            if not ours(document.value):
                continue
            count += 1
            kind, name = str(document.value.get("kind")), named(document.value)
            for field, problem in problems(document.value, profiles or {}):
                found.append(Finding(file, document.line(field), kind, name, field, problem))
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "nested too deeply"
        found.append(Finding(file, mark.line + 1 if mark else 1, "", "", "", f"is no YAML: {what}"))
    return count, found


def ours(obj: Mapping[str, Any]) -> bool:
    """Whether the object is of our group, or of one of our kinds with another one by mistake."""
    group = str(obj.get("apiVersion", "")).partition("/")[0]
    return group == GROUP or (obj.get("kind") in KINDS and group in ("", "v1", "v1alpha1"))


def named(obj: Mapping[str, Any]) -> str:
    """Name, or the one that names are generated from."""
    meta = obj.get("metadata")
    return str(meta.get("name") or meta.get("generateName") or "") if isinstance(meta, Mapping) else ""


def problems(obj: Mapping[str, Any], profiles: Mapping[str, Profile]) -> Iterator[tuple[str, str]]:
    """Field and problem, each."""
    from modelrollout.api import v1alpha1
    from modelrollout.api.convert import to_source, to_spec
    from modelrollout.api.profile import to_profile
    from modelrollout.api.reading import parse
    from modelrollout.cli import profile_files
    from modelrollout.core.observation import SpecProblem

    if obj.get("apiVersion") != f"{GROUP}/{VERSION}":
        yield "apiVersion", f"must be {GROUP}/{VERSION}"
    if not named(obj):
        yield "metadata.name", "must be set"
        return
    placed = {**obj, "metadata": {"namespace": "default", "name": "x", "uid": "x", **obj["metadata"]}}
    answer: object
    match obj.get("kind"):
        case "ModelRollout":
            answer = to_spec(placed, strict=True)
            if not isinstance(answer, SpecProblem):
                yield from profile_files.problems(answer, profiles)
        case "MetricSource":
            answer = to_source(placed, strict=True)
        case "RolloutAction":
            answer = parse(v1alpha1.ActionSpec, placed, strict=True)
        case "SliProfile":
            answer = to_profile(placed, strict=True)
        case other:
            yield "kind", f"{other!r} is not one of {', '.join(KINDS)}"
            return
    if isinstance(answer, SpecProblem):
        for part in _NEXT.split(answer.problem):
            found = _FIELD.fullmatch(part)
            yield (found["path"], found["problem"]) if found else ("spec", part)

"""`SliProfile` objects from files, for commands that see no cluster; what is wrong with SLIs that name profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from modelrollout.catalog import Catalogue
    from modelrollout.catalog.profiles import Profile
    from modelrollout.core.model import RolloutSpec, Sli

KIND = "SliProfile"

Files = Annotated[
    list[Path] | None,
    typer.Option("--profiles", metavar="FILE", help="YAML with SliProfiles that the rollouts name. Repeat."),
]


def read(paths: Sequence[Path]) -> dict[str, Profile]:
    """The profiles in these files by name, at least one each. Raises SpecError, also for a file that can't be read."""
    from modelrollout.errors import SpecError

    found: dict[str, Profile] = {}
    for path in paths:
        new = among(_documents(path), str(path))
        if not new:
            raise SpecError(f"must hold a {KIND}, holds none", subject=str(path))
        found |= new
    return found


def among(objects: Sequence[Mapping[str, Any]], file: str, *, strict: bool = True) -> dict[str, Profile]:
    """The profiles among these objects. Raises SpecError for the first that the operator would refuse; `strict`: for an
    unknown field, too, as a cluster that is newer may have.
    """
    from modelrollout.api.profile import to_profile
    from modelrollout.core.observation import SpecProblem
    from modelrollout.errors import SpecError

    found: dict[str, Profile] = {}
    for obj in objects:
        if obj.get("kind") != KIND:
            continue
        made = to_profile(obj, strict=strict)
        if isinstance(made, SpecProblem):
            meta = obj.get("metadata")
            name = meta.get("name") if isinstance(meta, Mapping) else None
            raise SpecError(made.problem, subject=f"{file}: {KIND} {name!r}")
        found[made.server] = made
    return found


def problems(spec: RolloutSpec, profiles: Mapping[str, Profile]) -> Iterator[tuple[str, str]]:
    """Field and problem of each SLI whose profile can't be used as it is, given these beside the built-in ones.

    Whether a MetricSource tells the arms apart is not known here, and no problem.
    """
    from modelrollout.catalog import alternatives, builtin
    from modelrollout.core.model import ProfileRef
    from modelrollout.core.observation import SpecProblem
    from modelrollout.runtime.profiles import bound

    known = builtin().profiles
    _, catalogue = bound(spec, profiles)
    for index, sli in enumerate(spec.slis):
        if not isinstance(sli.source, ProfileRef):
            continue
        place = f"spec.slis[{index}]"
        if sli.source.server not in catalogue.profiles:
            yield (
                f"{place}.profile",
                f"{sli.source} is no built-in profile. One of the cluster must be given, too: put its {KIND} into the"
                f" same file, or name its file with --profiles (built in: {', '.join(known)})",
            )
            continue
        found = alternatives(sli, _told_apart(sli, catalogue))
        if isinstance(found, SpecProblem):
            field, _, text = found.problem.removeprefix(f"spec.slis[{sli.name}].").partition(" ")
            yield f"{place}.{field}", text


def _told_apart(sli: Sli, catalogue: Catalogue) -> Catalogue:
    from modelrollout.catalog import Catalogue
    from modelrollout.catalog.profiles import Arms
    from modelrollout.core.model import ProfileRef

    assert isinstance(sli.source, ProfileRef)
    profile = catalogue.profiles[sli.source.server]
    if profile.arms is not Arms.LABEL:
        return catalogue
    return Catalogue.of(replace(profile, arms=Arms.PODS, label="", hint=""))


def _documents(path: Path) -> Sequence[Mapping[str, Any]]:
    import yaml

    from modelrollout.cli.manifest import items
    from modelrollout.errors import SpecError

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(
            f"{error.strerror or type(error).__name__}; name a file that can be read", subject=str(path)
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"is no YAML ({type(error).__name__})", subject=str(path)) from None
    return [each for document in documents for each in items(document)]

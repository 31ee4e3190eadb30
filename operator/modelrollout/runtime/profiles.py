"""The profiles that a rollout means: those that come with the package, and the cluster's own by their names.

A profile of the cluster may change under a rollout, so the spec that is decided by carries what its SLIs mean now: a
digest in place of the bare name. Another digest is another plan, as if somebody had edited `slis`: the weight stays,
the evidence of the step starts anew. A profile that is gone or broken is told, and holds; what it last was is still
counted, so that a bad candidate goes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from modelrollout.catalog import Catalogue, builtin
from modelrollout.catalog.profiles import Entry, Profile
from modelrollout.core.model import ClusterProfileRef, ProfileRef, RolloutSpec, Sli
from modelrollout.core.observation import SpecProblem
from modelrollout.core.reasons import Reason

Lookup = Callable[[str], Profile | SpecProblem | None]
"""The profile of the cluster with this name, why it can't be used, or None when there is none."""

NONE: Mapping[str, Profile] = MappingProxyType({})
REMEMBERED = 1000
"""Profiles of which the last good content is kept; far more than a cluster has."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A spec whose SLIs say which content of the cluster's profiles they mean, and the catalogue that has it.

    `problem`: a profile is missing or refused. `whole`: the catalogue has every profile all the same, if only as it
    was.
    """

    spec: RolloutSpec
    catalogue: Catalogue
    problem: SpecProblem | None = None
    whole: bool = True


def no_profiles(name: str) -> None:
    """A cluster without profiles of its own."""


class Profiles:
    """Binds specs; remembers what the profiles were that rollouts use."""

    def __init__(self, lookup: Lookup = no_profiles) -> None:
        self._lookup = lookup
        self._last: dict[str, Profile] = {}

    def bind(self, spec: RolloutSpec) -> Bound:
        """The spec as it is to be decided by. A spec that names none of the cluster's profiles is returned as it is."""
        known = builtin()
        wanted = dict.fromkeys(foreign(spec))
        if not wanted:
            return Bound(spec, known)
        found: dict[str, Profile] = {}
        problem: SpecProblem | None = None
        for name in wanted:
            profile = self._lookup(name)
            if isinstance(profile, Profile):
                self._remember(name, profile)
            else:
                problem = problem or _missing(spec, name, profile)
                profile = self._last.get(name)
            if profile is not None:
                found[name] = profile
        slis = tuple(_bound(sli, found) for sli in spec.slis)
        catalogue = Catalogue(MappingProxyType({**known.profiles, **found}))
        return Bound(replace(spec, slis=slis), catalogue, problem, whole=len(found) == len(wanted))

    def _remember(self, name: str, profile: Profile) -> None:
        self._last.pop(name, None)
        self._last[name] = profile
        if len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]


def foreign(spec: RolloutSpec) -> tuple[str, ...]:
    """Names of the profiles that do not come with the package, in the order of the SLIs."""
    known = builtin().profiles
    refs = (sli.source for sli in spec.slis if isinstance(sli.source, ProfileRef))
    return tuple(dict.fromkeys(ref.server for ref in refs if ref.server not in known))


def bound(spec: RolloutSpec, profiles: Mapping[str, Profile]) -> tuple[RolloutSpec, Catalogue]:
    """The spec with these profiles beside the built-in ones, for programs that have no cluster."""
    made = Profiles(profiles.get).bind(spec)
    return made.spec, made.catalogue


def digest(profile: Profile, entry: Entry) -> str:
    """Identity of what an SLI of a profile counts, and of nothing that is only told."""
    counted = replace(entry, summary="", verified=True)
    return hashlib.blake2b(repr((counted, profile.arms, profile.label)).encode(), digest_size=5).hexdigest()


def _bound(sli: Sli, found: Mapping[str, Profile]) -> Sli:
    ref = sli.source
    profile = found.get(ref.server) if isinstance(ref, ProfileRef) else None
    if not isinstance(ref, ProfileRef) or profile is None:
        return sli
    entry = profile.slis.get(ref.sli)
    identity = "" if entry is None else digest(profile, entry)
    return replace(sli, source=ClusterProfileRef(ref.server, ref.sli, identity))


def _missing(spec: RolloutSpec, name: str, problem: SpecProblem | None) -> SpecProblem:
    sli = next(s for s in spec.slis if isinstance(s.source, ProfileRef) and s.source.server == name)
    place = f"spec.slis[{sli.name}].profile"
    if problem is not None:
        return SpecProblem(problem.reason, f"{place}: {problem.problem}")
    built_in = ", ".join(builtin().profiles)
    return SpecProblem(
        Reason.PROFILE_NOT_FOUND,
        f"{place}: there is no SliProfile {name!r}, and modelrollout brings none: name another, or ask an"
        f" administrator to create it (built in: {built_in})",
    )

"""The cluster's profiles: looked up in the cache, and told on each whether the operator can use it.

The condition Accepted is written when it is not there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.profile_view import PROFILE, ProfileView
from modelrollout.adapters.kube.resources import PROFILES
from modelrollout.catalog.profiles import Profile
from modelrollout.core.observation import SpecProblem
from modelrollout.core.reasons import Reason
from modelrollout.errors import Conflict, Gone, RolloutError
from modelrollout.ports import Clock
from modelrollout.runtime.profiles import Profiles

log = logging.getLogger(__name__)


def cluster_profiles(cache: ObjectCache) -> Profiles:
    """The profiles that rollouts of this cluster mean."""
    return Profiles(CachedProfiles(cache))


class CachedProfiles:
    """Looks profiles up in the cache; says what keeps the operator from seeing them."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    def __call__(self, name: str) -> Profile | SpecProblem | None:
        """The profile, why it can't be used, or None when there is none."""
        if not self._cache.live(PROFILES.kind):
            return SpecProblem(
                Reason.PROFILE_NOT_FOUND,
                f"SliProfile {name!r} can't be seen: the cluster does not serve sliprofiles, or the operator may not"
                " list them; install the CRDs and the rights of this release",
            )
        view = self._cache.find(PROFILE, "", name)
        if view is None:
            return None
        if isinstance(view.found, SpecProblem):
            return SpecProblem(Reason.PROFILE_NOT_ACCEPTED, f"SliProfile {name!r} can't be used: {view.found.problem}")
        return view.found


class ProfileStatus:
    """Writes for whoever may write; best effort, and the next full list tries again what failed.

    Each content is written about once: operators of two versions that judge it differently must not write in turns.
    """

    def __init__(self, client: KubeClient, cache: ObjectCache, clock: Clock, may_write: Callable[[], bool]) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock
        self._may_write = may_write
        self._news = asyncio.Event()
        self._written: dict[str, tuple[str, int]] = {}

    def look(self) -> None:
        """Some profile may be new or changed, or this operator may write from now on."""
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.write()

    async def write(self) -> None:
        """Write what is not there. Raises nothing but cancellation."""
        if not self._may_write():
            return
        views = self._cache.every(PROFILE)
        self._written = {view.name: self._written[view.name] for view in views if view.name in self._written}
        for view in views:
            if not view.current and self._written.get(view.name) != (view.uid, view.generation):
                await self._one(view)

    async def _one(self, view: ProfileView) -> None:
        patch = {"metadata": {"resourceVersion": view.version}, "status": view.status(self._clock.now())}
        try:
            body = await self._client.merge_patch(PROFILES, "", view.name, patch, subresource="status")
        except (Conflict, Gone):
            return  # the watch brings what it has become
        except RolloutError as error:
            log.warning("SliProfile %s: its status can't be written: %s", view.name, error)
            return
        self._written[view.name] = (view.uid, view.generation)
        self._cache.adopt(PROFILE, body, fresh=True)

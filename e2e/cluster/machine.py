"""What this machine has, and whether that is enough for a provider."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.artifacts import cache_root
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Tier
from e2e.cluster.sandbox import PRIVATE

TOOLS = ("unshare", "nsenter", "setpriv", "mount", "ip")
PACKAGE_TOOLS = ("apt-get", "dpkg-deb")


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that decide: operating system, whether we are root, programs on PATH, the cache's place."""

    system: str
    root: bool
    tools: Collection[str]
    cache: Path


def this_machine() -> Machine:
    """Look at the machine we run on."""
    asked = (*TOOLS, *PACKAGE_TOOLS)
    return Machine(
        system=platform.system(),
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
        tools=[tool for tool in asked if shutil.which(tool)],
        cache=cache_root(),
    )


def require_embedded(machine: Machine, tier: Tier) -> None:
    """Raise ClusterError that says what the machine lacks for an embedded cluster, and what to do."""
    lacking = lacks(machine, tier)
    if lacking is not None:
        raise ClusterError(f"provider embedded {lacking}")


def require_kind(machine: Machine, tier: Tier, *, engine: bool) -> None:
    """Raise ClusterError that says what the machine lacks for a kind cluster; `engine`: it has one that answers."""
    if tier != "full":
        raise ClusterError(f"provider kind has tier full only, not {tier}; use provider embedded")
    if engine:
        lacking = _lacks_system(machine) or _lacks_packages(machine)
        if lacking is not None:
            raise ClusterError(f"provider kind {lacking}")
        return
    lacking = lacks(machine, tier)
    if lacking is not None:
        raise ClusterError(
            f"provider kind needs Docker, which does not answer here; with a container engine of its own it {lacking}"
        )


def lacks(machine: Machine, tier: Tier) -> str | None:
    """What the machine lacks for a cluster in namespaces, after "it", and what to do; None when it is sound."""
    system = _lacks_system(machine)
    if system is not None:
        return system
    if not machine.root:
        return (
            "needs root for namespaces, mounts and cgroups: run it with sudo; tests of the API alone need no root "
            "(e2e.cluster.apiserver)"
        )
    missing = [tool for tool in TOOLS if tool not in machine.tools]
    if missing:
        return f"is missing {', '.join(missing)}: install the packages util-linux, mount, iproute2"
    packages = _lacks_packages(machine) if tier == "full" else None
    if packages is not None:
        return packages
    for private in PRIVATE:
        if machine.cache.is_relative_to(private):
            return (
                f"has its cache {machine.cache} in {private}, which a cluster sees a private copy of; "
                "set MODELROLLOUT_CACHE to a directory elsewhere"
            )
    return None


def _lacks_system(machine: Machine) -> str | None:
    return None if machine.system == "Linux" else "needs Linux; use a Linux machine"


def _lacks_packages(machine: Machine) -> str | None:
    if all(tool in machine.tools for tool in PACKAGE_TOOLS):
        return None
    return (
        "takes programs and the base of its images from Debian packages, and this machine has no apt-get and dpkg; "
        "use Debian or Ubuntu"
    )

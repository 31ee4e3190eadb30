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
ENGINES = ("docker", "podman", "nerdctl")
KIND_TOOLS = ("kind", "kubectl")


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that decide: operating system, whether we are root, programs on PATH, the cache's place."""

    system: str
    root: bool
    tools: Collection[str]
    cache: Path


def this_machine() -> Machine:
    """Look at the machine we run on."""
    asked = (*TOOLS, *PACKAGE_TOOLS, *ENGINES, *KIND_TOOLS)
    return Machine(
        system=platform.system(),
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
        tools=[tool for tool in asked if shutil.which(tool)],
        cache=cache_root(),
    )


def require_embedded(machine: Machine, tier: Tier) -> None:
    """Raise ClusterError that says what the machine lacks for an embedded cluster, and what to do."""
    if machine.system != "Linux":
        raise ClusterError("provider embedded needs Linux; use a Linux machine or provider kind")
    if not machine.root:
        raise ClusterError(
            "provider embedded needs root for namespaces, mounts and cgroups: run it with sudo, or use provider "
            "kind; tests of the API alone need no root (e2e.cluster.apiserver)"
        )
    missing = [tool for tool in TOOLS if tool not in machine.tools]
    if missing:
        raise ClusterError(f"missing {', '.join(missing)}: install the packages util-linux, mount, iproute2")
    if tier == "full" and any(tool not in machine.tools for tool in PACKAGE_TOOLS):
        raise ClusterError(
            "tier full takes containerd and runc from Debian packages, and this machine has no apt-get and dpkg; "
            "use Debian or Ubuntu, or provider kind"
        )
    for private in PRIVATE:
        if machine.cache.is_relative_to(private):
            raise ClusterError(
                f"the cache {machine.cache} lies in {private}, which a cluster sees a private copy of; "
                "set MODELROLLOUT_CACHE to a directory elsewhere"
            )


def require_kind(machine: Machine, tier: Tier) -> None:
    """Raise ClusterError that says what the machine lacks for a kind cluster, and what to do."""
    if tier != "full":
        raise ClusterError(f"provider kind has tier full only, not {tier}; use provider embedded")
    if not any(engine in machine.tools for engine in ENGINES):
        raise ClusterError(
            f"provider kind needs a container engine ({', '.join(ENGINES)}) and none is installed; "
            "on Linux as root use provider embedded"
        )
    for tool in KIND_TOOLS:
        if tool not in machine.tools:
            raise ClusterError(
                f"provider kind needs the program {tool}; see https://kind.sigs.k8s.io/docs/user/quick-start/"
            )

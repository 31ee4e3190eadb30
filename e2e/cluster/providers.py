"""Choosing a provider by name."""

from __future__ import annotations

import os
from typing import Literal, get_args

from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.kind import KindCluster
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Cluster

Provider = Literal["embedded", "kind"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
VARIABLE = "MODELROLLOUT_PROVIDER"


def open_cluster(name: str, *, provider: Provider | None = None, ephemeral: bool = False) -> Cluster:
    """The cluster of that name, up or not, by `provider`, else by $MODELROLLOUT_PROVIDER, else embedded.

    With `ephemeral` an embedded cluster ends when this process does. Raises ClusterError for an unknown provider.
    """
    chosen = provider or os.environ.get(VARIABLE) or "embedded"
    if chosen not in PROVIDERS:
        raise ClusterError(f"{VARIABLE} is {chosen!r}; it must be one of {', '.join(PROVIDERS)}")
    if chosen == "kind":
        return KindCluster(name)
    return EmbeddedCluster(name, ephemeral=ephemeral)

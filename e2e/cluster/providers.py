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


def chosen(provider: Provider | None = None) -> Provider:
    """`provider`, else that of $MODELROLLOUT_PROVIDER, else embedded. Raises ClusterError for an unknown one."""
    named = provider or os.environ.get(VARIABLE) or "embedded"
    for known in PROVIDERS:
        if named == known:
            return known
    raise ClusterError(f"{VARIABLE} is {named!r}; it must be one of {', '.join(PROVIDERS)}")


def open_cluster(
    name: str, *, provider: Provider | None = None, ephemeral: bool = False, scrape: str = "1s"
) -> Cluster:
    """The cluster of that name, up or not, of the chosen provider.

    With `ephemeral` it ends when this process does, unless it is on the machine's container engine. `scrape`: how often
    its Prometheus scrapes when `up` makes it. Raises ClusterError for an unknown provider.
    """
    if chosen(provider) == "kind":
        return KindCluster(name, ephemeral=ephemeral, scrape=scrape)
    return EmbeddedCluster(name, ephemeral=ephemeral, scrape=scrape)

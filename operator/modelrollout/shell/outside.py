"""What an operator process meets outside of itself, the API server apart: time, chance, Prometheus, its web address."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.clock import SystemClock
from modelrollout.adapters.notify.post import Post, Result
from modelrollout.adapters.notify.wording import Outgoing
from modelrollout.adapters.prom.metrics import PrometheusMetrics
from modelrollout.adapters.prom.sources import Sources
from modelrollout.ports import Clock, Metrics
from modelrollout.shell import allocator
from modelrollout.shell.web import Check, Site


class Web(Protocol):
    """Probes and metrics for others; `address` is known once it has started."""

    address: str

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the address can't be had."""
        ...

    async def stop(self) -> None:
        """Stop to listen."""
        ...


class Mail(Protocol):
    """Sends notifications."""

    async def __call__(self, outgoing: Outgoing, *, timeout: float) -> Result:
        """What came of one request. Never raises."""
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


class MakeWeb(Protocol):
    """Makes a `Web` out of the two probes and the metrics."""

    def __call__(self, *, alive: Check, ready: Check, registry: CollectorRegistry) -> Web:
        """One that does not listen yet."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """The real ones by default; whoever runs the operator in virtual time brings others."""

    clock: Clock = field(default_factory=SystemClock)
    rng: random.Random = field(default_factory=random.Random)
    metrics: Callable[[Sources], Metrics] = PrometheusMetrics
    site: MakeWeb = Site
    post: Callable[[AddressPolicy], Mail] = Post
    give_back: Callable[[], object] = allocator.trim
    """Called after each full list, which needs the most memory for a moment."""

"""A `MetricSource` in plain values: what the engine may know of it, and how to reach its server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.ports import SourceSpec


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of a Secret in the operator's namespace."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a Prometheus. `timeout` in seconds; `headers` in the order of their names."""

    address: str
    bearer_token: SecretKey | None = None
    ca: SecretKey | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 5.0
    max_concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Source:
    """A validated `MetricSource`. `allowed`: labels that a namespace must have; None admits all."""

    spec: SourceSpec
    connection: Connection
    allowed: tuple[tuple[str, str], ...] | None = None

    def allows(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace with these labels may use the source."""
        return self.allowed is None or all(labels.get(name) == value for name, value in self.allowed)

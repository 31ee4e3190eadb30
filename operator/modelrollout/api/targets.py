"""Who is told of what, in plain values: the admin's notification file once it is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelrollout.core.happenings import Happened, Happening, Level

DASHBOARD_FIELDS = ("namespace", "rollout")


class TargetKind(StrEnum):
    """What a target speaks."""

    CLOUDEVENTS = "cloudevents"
    SLACK = "slack"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver. `namespaces` empty: all. `timeout` in seconds. Holds secrets, the URL among them: never shown."""

    name: str
    kind: TargetKind
    url: str
    happenings: frozenset[Happened] = frozenset(Happened)
    namespaces: frozenset[str] = frozenset()
    severity: Level = Level.INFO
    timeout: float = 5.0
    bearer_token: str = ""
    signing_key: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.kind.value})"

    def wants(self, happening: Happening) -> bool:
        """Whether this target is told of it."""
        return (
            happening.kind in self.happenings
            and happening.level.rank >= self.severity.rank
            and (not self.namespaces or happening.key.namespace in self.namespaces)
        )


@dataclass(frozen=True, slots=True)
class Links:
    """Where a message leads to. `dashboard` may hold `{namespace}` and `{rollout}`; empty: no link."""

    runbooks: str = "docs/runbooks"
    dashboard: str = ""

    def dashboard_of(self, happening: Happening) -> str:
        """Address of the dashboard for this rollout; empty without one."""
        # Names of objects are letters, digits, dots and dashes: nothing to escape.
        text = self.dashboard.replace("{namespace}", happening.key.namespace)
        return text.replace("{rollout}", happening.key.name)


@dataclass(frozen=True, slots=True)
class Notifications:
    """The whole file. `cluster` names this cluster in every message."""

    targets: tuple[Target, ...] = ()
    links: Links = Links()
    cluster: str = ""

"""Alerts for Alertmanager's API v2. An alert stands as long as its happening, and is sent again before it would end.

The labels name rollout, kind and severity, never a replica or a time: whoever leads sends the same alert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from modelrollout.adapters.notify.wording import Context, Outgoing, alert_name, rfc3339, runbook, text, title
from modelrollout.api.targets import Target
from modelrollout.core.happenings import Happening

PATH = "/api/v2/alerts"
RESEND = 60.0
"""Seconds between two sendings of what stands."""
LASTS = 5 * RESEND
"""Seconds after which an alert ends that nobody sends again: four sendings may be lost."""


def request(
    standing: Iterable[Happening],
    over: Iterable[tuple[Happening, float]],
    target: Target,
    context: Context,
    *,
    now: float,
) -> Outgoing:
    """All that stands, and what is over since (epoch seconds), in one request."""
    alerts = [alert(h, target, context, now=now, ends=now + LASTS) for h in standing]
    alerts += [alert(h, target, context, now=now, ends=min(at, now)) for h, at in over]
    headers = [("Content-Type", "application/json")]
    if target.bearer_token:
        headers.append(("Authorization", f"Bearer {target.bearer_token}"))
    body = json.dumps(alerts, ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing(target.url.rstrip("/") + PATH, body, tuple(headers))


def labels(happening: Happening, target: Target, context: Context) -> dict[str, str]:
    """What makes it this alert and no other."""
    own = {
        "alertname": alert_name(happening),
        "severity": happening.level.value,
        "rollout_namespace": happening.key.namespace,
        "rollout": happening.key.name,
    }
    return {**({"cluster": context.cluster} if context.cluster else {}), **dict(target.labels), **own}


def alert(happening: Happening, target: Target, context: Context, *, now: float, ends: float) -> dict[str, object]:
    """One alert as JSON has it. An end that does not lie behind the begin would be refused."""
    begins = min(happening.at or now, now)
    annotations = {
        "summary": title(happening, context),
        "description": text(happening),
        "revision": happening.revision,
        "runbook": runbook(happening, context),
        "dashboard": context.links.dashboard_of(happening),
    }
    return {
        "labels": labels(happening, target, context),
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": rfc3339(begins),
        "endsAt": rfc3339(max(ends, begins + 0.001)),
    }

"""Who wrote what and when, as the API server's audit log tells it: a pod's token names the pod."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

POD = "authentication.kubernetes.io/pod-name"
VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Write:
    """One write that the server carried out. `at`: Unix seconds at which it was asked; `resource` with its subresource,
    such as `modelrollouts/status`.
    """

    at: float
    account: str
    pod: str
    resource: str
    namespace: str
    name: str


def writes(events: Iterable[Mapping[str, Any]], *, home: str) -> list[Write]:
    """Writes by pods of service accounts in namespace `home`, oldest first; refused ones and Events are left out."""
    found = [_write(event) for event in events if _counts(event, home)]
    return sorted(found, key=lambda write: write.at)


def _counts(event: Mapping[str, Any], home: str) -> bool:
    return (
        event.get("stage") == "ResponseComplete"
        and event["verb"] in VERBS
        and event["user"]["username"].startswith(f"system:serviceaccount:{home}:")
        and event.get("objectRef", {}).get("resource") not in (None, "events")
        and 200 <= event.get("responseStatus", {}).get("code", 0) < 300
    )


def _write(event: Mapping[str, Any]) -> Write:
    user, ref = event["user"], event["objectRef"]
    part = f"/{ref['subresource']}" if "subresource" in ref else ""
    return Write(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(),
        account=user["username"].rpartition(":")[2],
        pod=next(iter(user.get("extra", {}).get(POD, ())), ""),
        resource=f"{ref['resource']}{part}",
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
    )

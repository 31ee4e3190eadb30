"""CloudEvents 1.0, structured mode over HTTP, one event a request; with a token, and signed if the target has a key.

The `id` is the happening's: a receiver that keeps ids sees each happening once, however often it is sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from modelrollout.adapters.notify.wording import Context, Outgoing, rfc3339, runbook, text, title
from modelrollout.api.targets import Target
from modelrollout.core.happenings import Happening
from modelrollout.core.wording import percent

TYPE = "dev.modelrollout.rollout"
CONTENT = "application/cloudevents+json; charset=UTF-8"
SIGNATURE = "Modelrollout-Signature"


def request(happening: Happening, target: Target, context: Context, *, now: float) -> Outgoing:
    """The event of a happening. `now` (epoch seconds) is part of the signature, so that old requests can be refused."""
    body = json.dumps(event(happening, context, now=now), ensure_ascii=False, separators=(",", ":")).encode()
    headers = [("Content-Type", CONTENT)]
    if target.bearer_token:
        headers.append(("Authorization", f"Bearer {target.bearer_token}"))
    if target.signing_key:
        headers.append((SIGNATURE, signature(target.signing_key, body, at=int(now))))
    return Outgoing(target.url, body, tuple(headers))


def signature(key: str, body: bytes, *, at: int) -> str:
    """`t=<epoch seconds>,v1=<hex>`: HMAC-SHA256 of `<epoch seconds>.<body>`."""
    made = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


def event(happening: Happening, context: Context, *, now: float) -> dict[str, object]:
    """The event as JSON has it."""
    key = happening.key
    place = f"/clusters/{context.cluster}" if context.cluster else ""
    data = {
        "happening": happening.kind.value,
        "severity": happening.level.value,
        "cluster": context.cluster,
        "namespace": key.namespace,
        "rollout": key.name,
        "uid": happening.uid,
        "revision": happening.revision,
        "reason": happening.reason,
        "weight": f"{percent(happening.weight)}%",
        "title": title(happening, context),
        "message": text(happening),
        "runbook": runbook(happening, context),
        "dashboard": context.links.dashboard_of(happening),
    }
    return {
        "specversion": "1.0",
        "id": happening.id,
        "source": f"//modelrollout.dev{place}/namespaces/{key.namespace}/modelrollouts/{key.name}",
        "type": f"{TYPE}.{happening.kind.value.lower()}.v1",
        "subject": str(key),
        "time": rfc3339(happening.at or now),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in data.items() if value},
    }

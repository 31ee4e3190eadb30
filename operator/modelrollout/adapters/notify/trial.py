"""A notification that says it is a test, sent once to a target."""

from __future__ import annotations

import hashlib

from modelrollout.adapters.notify import alertmanager
from modelrollout.adapters.notify.outbox import RENDERERS
from modelrollout.adapters.notify.pace import Send
from modelrollout.adapters.notify.post import Result
from modelrollout.adapters.notify.wording import Context
from modelrollout.api.targets import Notifications, Target
from modelrollout.core.happenings import Happened, Happening
from modelrollout.core.model import Key

KEY = Key("modelrollout-test", "notification")


async def trial(target: Target, file: Notifications, send: Send, *, now: float) -> Result:
    """Send the test, with the least severity that the target takes. An alert ends by itself after five minutes."""
    context, told = Context(file.links, file.cluster), _test(target, now)
    if target.kind in RENDERERS:
        outgoing = RENDERERS[target.kind](told, target, context, now=now)
    else:
        outgoing = alertmanager.request([told], [], target, context, now=now)
    return await send(outgoing, timeout=target.timeout)


def _test(target: Target, now: float) -> Happening:
    return Happening(
        id=hashlib.blake2b(f"test of {target.name} at {now}".encode(), digest_size=16).hexdigest(),
        kind=Happened.PAUSED,
        level=target.severity,
        key=KEY,
        uid="",
        revision="test",
        reason="Test",
        message=f"a test of the notification target {target.name!r}; there is no such rollout",
        at=now,
    )

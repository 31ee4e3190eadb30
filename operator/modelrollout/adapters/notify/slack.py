"""Incoming webhooks of Slack, and of Mattermost, which takes the same: text and one attachment.

Part of the text was written by people of a tenant, such as the reason of an abort: it must neither call a channel
together nor look like a link to somewhere else.
"""

from __future__ import annotations

import json

from modelrollout.adapters.notify.wording import Context, Outgoing, runbook, text, title
from modelrollout.api.targets import Target
from modelrollout.core.happenings import Happened, Happening, Level

_COLOURS = {Level.PAGE: "#d92d20", Level.TICKET: "#f79009", Level.INFO: "#667085"}
PROMOTED = "#12b76a"
JOINER = "\u2060"
"""Invisible; behind an `@` it keeps Mattermost from reading a mention, between brackets from reading a link."""


def request(happening: Happening, target: Target, context: Context, *, now: float) -> Outgoing:
    """The message of a happening."""
    body = json.dumps(message(happening, context), ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing(target.url, body, (("Content-Type", "application/json; charset=utf-8"),))


def message(happening: Happening, context: Context) -> dict[str, object]:
    """The message as JSON has it: the title as text, which notifications of a phone show, the rest attached."""
    head, said = plain(title(happening, context)), plain(text(happening))
    dashboard = context.links.dashboard_of(happening)
    links = (("runbook", runbook(happening, context)), ("dashboard", dashboard))
    shown = " · ".join(f"<{address}|{name}>" for name, address in links if address.startswith("http"))
    attachment = {
        "fallback": f"{head}: {said}",
        "color": PROMOTED if happening.kind is Happened.PROMOTED else _COLOURS[happening.level],
        "text": f"{said}\n{shown}" if shown else said,
        "footer": f"modelrollout · {happening.level.value}",
    }
    return {"text": head, "attachments": [attachment]}


def plain(text: str) -> str:
    """`text` as Slack and Mattermost show it unchanged."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", f"@{JOINER}").replace("](", f"]{JOINER}(")

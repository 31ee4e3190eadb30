"""Request headers of a metric source: what its owner may set, and what is ours."""

from __future__ import annotations

import re

from modelrollout.api.source import Connection

NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VALUE = re.compile(r"(?! )[ -~]*(?<! )")
# Framing and target of a request are ours.
OURS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "upgrade", "te"}
)


def problem_of(connection: Connection) -> str | None:
    """What is wrong with the headers, as a sentence that names the field but never a value, or None."""
    for name, value in connection.headers:
        if not NAME.fullmatch(name) or not VALUE.fullmatch(value):
            return "prometheus.headers: names and values must be printable ASCII, without spaces at the ends"
        if name.lower() in OURS:
            return f"prometheus.headers: {name} is set by the operator; remove it"
        if name.lower() == "authorization" and connection.bearer_token is not None:
            return "prometheus.headers: Authorization comes from prometheus.auth; remove one of the two"
    return None


def with_token(connection: Connection, token: str | None) -> dict[str, str] | None:
    """The headers to send; None when the token can't be one."""
    headers = dict(connection.headers)
    if token is not None:
        token = token.strip()
        if not token or not VALUE.fullmatch(token):
            return None
        headers["Authorization"] = f"Bearer {token}"
    return headers

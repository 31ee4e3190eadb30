"""What an answer of the API server means in our terms. Pure; only the `message` of its Status is ever quoted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelrollout.errors import ApiUnavailable, Bug, Conflict, Denied, Gone, RolloutError, Throttled

MAX_MESSAGE = 300


class NotServed(Gone):
    """The server knows no such kind at all (its CRD is not installed)."""


class Expired(Gone):
    """The server has forgotten the version that a list or watch wanted to go on from."""


class Rejected(Bug):
    """The server found the object itself invalid. `causes`: field path and sentence of each finding."""

    def __init__(self, message: str, *, causes: tuple[tuple[str, str], ...] = (), subject: str = "") -> None:
        super().__init__(message, subject=subject)
        self.causes = causes


def failure(code: int, headers: Mapping[str, str], raw: bytes, *, subject: str) -> RolloutError:
    """The error for an answer that is no success.

    A failed `test` of a JSON Patch answers 422 with reason Invalid and empty details; findings of the schema come
    with causes, and so do those of an admission policy, which says so in its message.
    """
    status = _status(raw)
    details = _mapping(status.get("details"))
    message = str(status.get("message") or f"HTTP {code}")[:MAX_MESSAGE]
    match code:
        case 401 | 403:
            return Denied(message, subject=subject)
        case 400 if "denied the request" in message:
            return Denied(message, subject=subject)  # a webhook that names no code of its own
        case 404:
            return Gone(message, subject=subject) if status else NotServed("no such kind here", subject=subject)
        case 409:
            return Conflict(message, subject=subject)
        case 410:
            return Expired(message, subject=subject)
        case 422:
            return _unprocessable(message, details, subject)
        case 429:
            return Throttled(message, retry_after=_retry_after(headers, details), subject=subject)
        case _ if code >= 500:
            return ApiUnavailable(message, subject=subject)
        case _:
            return Bug(f"unexpected answer: {message}", subject=subject)


def _unprocessable(message: str, details: Mapping[str, Any], subject: str) -> RolloutError:
    if "denied request" in message:
        return Denied(message, subject=subject)
    found = details.get("causes")
    causes = tuple(
        (str(cause.get("field", "")), str(cause.get("message", ""))[:MAX_MESSAGE])
        for cause in (found if isinstance(found, list) else [])
        if isinstance(cause, dict)
    )
    return Rejected(message, causes=causes, subject=subject) if details else Conflict(message, subject=subject)


def _status(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) and body.get("kind") == "Status" else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float:
    for text in (headers.get("Retry-After"), details.get("retryAfterSeconds")):
        try:
            seconds = float(text)  # type: ignore[arg-type]  # None and nonsense are what the except is for
        except (TypeError, ValueError):
            continue
        if 0 <= seconds <= 3600:
            return seconds
    return 1.0

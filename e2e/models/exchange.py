"""One request and what became of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from e2e.models.records import Kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` and `headers` are there as soon as the head of an answer was."""

    kind: Kind
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    predicted: int | None = None


async def post(session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Post once and say what became of it; never raises for what a network or server can do."""
    status: int | None = None
    answered: Mapping[str, str] = {}
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            status, answered = answer.status, answer.headers
            text = await answer.read()
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return Answer(failure_kind(error), status, answered)
    if not 200 <= status < 300:
        return Answer("http", status, answered)
    predicted = _prediction(text)
    return Answer("invalid" if predicted is None else "ok", status, answered, predicted)


def failure_kind(error: Exception) -> Kind:
    """Name what happened to a request without a complete answer."""
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ClientResponseError():
            return "invalid"  # what came back was no HTTP
        case _:
            return "reset"


def _prediction(text: bytes) -> int | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    label = body.get("label") if isinstance(body, dict) else None
    return label if isinstance(label, int) else None

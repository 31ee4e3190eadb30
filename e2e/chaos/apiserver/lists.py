"""Lists: selectors, pages with a consistent version, tokens to go on from."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from e2e.chaos.apiserver.objects import CUSTOM, Place, Version
from e2e.chaos.apiserver.refusals import bad_request, expired, too_new
from e2e.chaos.apiserver.store import Store
from modelrollout.adapters.kube.resources import Body, Resource

Selector = Callable[[Body], bool]
TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<no>[^\s!=,()]+)"
    r"|(?P<key>[^\s!=,()]+)\s*(?:(?P<op>==?|!=)\s*(?P<value>[^\s!=,()]*)|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)"
    r"\s*(?:,|$)"
)
FORGOTTEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)


def selected(labels: str, fields: str = "") -> Selector | None:
    """What a label and a field selector let pass; None when that is everything."""
    tests = [*_labels(labels), *_fields(fields)]
    return (lambda body: all(test(body["metadata"]) for test in tests)) if tests else None


def _labels(text: str) -> list[Callable[[Body], bool]]:
    tests: list[Callable[[Body], bool]] = []
    position = 0
    while position < len(text):
        found = TERM.match(text, position)
        if found is None:
            raise bad_request(f'unable to parse requirement: found "{text[position:]}"')
        position = found.end()
        tests.append(_term(found))
    return tests


def _term(found: re.Match[str]) -> Callable[[Body], bool]:
    key = found["key"] or found["no"]
    if found["absent"]:
        return lambda metadata: key not in (metadata.get("labels") or {})
    if found["op"]:
        values, wanted = {found["value"]}, found["op"] != "!="
    elif found["set"]:
        values, wanted = {value.strip() for value in found["values"].split(",")}, found["set"] == "in"
    else:
        return lambda metadata: key in (metadata.get("labels") or {})
    return lambda metadata: ((metadata.get("labels") or {}).get(key) in values) is wanted


def _fields(text: str) -> list[Callable[[Body], bool]]:
    tests: list[Callable[[Body], bool]] = []
    for term in text.split(",") if text else ():
        key, _, value = term.partition("=")
        if key not in ("metadata.name", "metadata.namespace"):
            raise bad_request(f"field label not supported: {key}")
        field, value = key.removeprefix("metadata."), value.removeprefix("=")
        tests.append(lambda metadata, field=field, value=value: metadata.get(field) == value)  # type: ignore[misc]  # defaults bind
    return tests


def listed(store: Store, resource: Resource, namespace: str, query: Mapping[str, str]) -> Body:
    """The answer to a LIST."""
    at, start = store.number, ""
    check_version(store, query)
    if query.get("continue"):
        at, start = _read(query["continue"], store)
    select = selected(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    found = [
        (key, version)
        for place, version in store.state(resource, at).items()
        if (key := "/".join(place)) >= start and _wanted(version, place, namespace, select)
    ]
    found.sort(key=lambda pair: pair[0])
    # What comes from a cache comes whole.
    limit = 0 if query.get("resourceVersion") == "0" else _integer(query.get("limit") or "0")
    if limit <= 0:
        limit = len(found)
    metadata: Body = {"resourceVersion": str(at)}
    if limit < len(found):
        metadata["continue"] = _token(at, found[limit][0])
        if select is None:
            metadata["remainingItemCount"] = len(found) - limit
    elif resource in CUSTOM:
        metadata["continue"] = ""
    items = []
    for _, version in found[:limit]:
        item = version.copy()
        if resource not in CUSTOM:
            del item["kind"], item["apiVersion"]
        items.append(item)
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "items": items,
    }


def check_version(store: Store, query: Mapping[str, str]) -> None:
    """Refused when a GET or LIST asks for a state that is no version, or is still to come."""
    text = query.get("resourceVersion") or "0"
    if not text.isdecimal():
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}"')
    if int(text) > store.number:
        raise too_new(int(text), store.number)


def _wanted(version: Version, place: Place, namespace: str, select: Selector | None) -> bool:
    body: Any = version.body
    return (not namespace or place[0] == namespace) and (select is None or select(body))


def _token(at: int, start: str) -> str:
    return urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": at, "start": start}).encode()).decode()


def _read(token: str, store: Store) -> tuple[int, str]:
    try:
        found = json.loads(urlsafe_b64decode(token.encode()))
        at, start = int(found["rv"]), str(found["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    if at < 0:
        return store.number, start
    if at < store.floor:
        # With this token the rest can be had as it is now.
        raise expired(FORGOTTEN, metadata={"continue": _token(-1, start)})
    return at, start


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error

"""The ways to patch. Pure: what comes back shares the unchanged parts with what went in, which stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from e2e.chaos.apiserver.refusals import bad_request, unprocessable
from modelrollout.adapters.kube.resources import Body

T = TypeVar("T")
MERGED_BY_UID = "ownerReferences"


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = merge(out.get(key), value)
        else:
            out[key] = value
    return out


def json_patch(body: Body, operations: Any) -> Body:
    """RFC 6902. Refused with 422 when an operation fails, with 400 when it is none."""
    if not isinstance(operations, list):
        raise bad_request("a JSON Patch is a list of operations")
    for operation in operations:
        if not isinstance(operation, dict):
            raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type handlers.jsonPatchOp")
        try:
            body = _operated(body, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise unprocessable() from error
    return body


def _operated(body: Body, operation: Body) -> Body:
    way = _way(operation["path"])
    match operation["op"]:
        case "test":
            if not _same(_tested(body, way), operation.get("value")):
                raise ValueError(operation["path"])
            return body
        case "add":
            return _changed(body, way, lambda parent, key: _add(parent, key, operation.get("value")))
        case "replace":
            return _changed(body, way, lambda parent, key: _replace(parent, key, operation.get("value")))
        case "remove":
            return _changed(body, way, _remove)
        case "copy":
            value = _at(body, _way(operation["from"]))
            return _changed(body, way, lambda parent, key: _add(parent, key, value))
        case "move":
            origin = _way(operation["from"])
            value = _at(body, origin)
            return _changed(_changed(body, origin, _remove), way, lambda parent, key: _add(parent, key, value))
        case _:
            raise ValueError(operation["op"])


def _way(pointer: str) -> list[str]:
    first, *parts = pointer.split("/")
    if first or not parts:
        raise ValueError(pointer)
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _key(parent: Any, part: str) -> Any:
    if not isinstance(parent, list):
        return part
    index = int(part)
    if not -len(parent) <= index < len(parent):
        raise IndexError(part)
    return index


def _at(node: Any, way: Sequence[str]) -> Any:
    for part in way:
        node = node[_key(node, part)]
    return node


def _tested(body: Body, way: Sequence[str]) -> Any:
    """What is there; null when there is no such member, so that a `test` for null succeeds."""
    parent = _at(body, way[:-1])
    return parent.get(way[-1]) if isinstance(parent, dict) else parent[_key(parent, way[-1])]


def _changed(node: T, way: Sequence[str], change: Callable[[Any, str], None]) -> T:
    """`node` with its containers along `way` made anew, and the last of them changed."""
    copy: Any = node[:] if isinstance(node, list) else dict(cast(Body, node))
    if len(way) == 1:
        change(copy, way[0])
    else:
        key = _key(copy, way[0])
        copy[key] = _changed(copy[key], way[1:], change)
    return cast(T, copy)


def _add(parent: Any, part: str, value: Any) -> None:
    if not isinstance(parent, list):
        parent[part] = value
        return
    index = len(parent) if part == "-" else int(part)
    if not 0 <= index <= len(parent):
        raise IndexError(part)
    parent.insert(index, value)


def _replace(parent: Any, part: str, value: Any) -> None:
    # The real one does not ask whether a member is there, other than the RFC.
    parent[_key(parent, part)] = value


def _remove(parent: Any, part: str) -> None:
    del parent[_key(parent, part)]


def _same(one: Any, other: Any) -> bool:
    # In Python True is 1 and 1 is 1.0; the real one compares numbers as they are written.
    numbers = (bool, int, float)
    return bool(one == other) and (not isinstance(one, numbers) or type(one) is type(other))


def applied(current: Any, config: Any) -> Any:
    """Server-side apply, in small: lists are atomic except for ownerReferences."""
    if not isinstance(config, dict):
        return config
    out = dict(current) if isinstance(current, dict) else {}
    for key, value in config.items():
        if key == MERGED_BY_UID:
            out[key] = list((_by_uid(out.get(key)) | _by_uid(value)).values())
        else:
            out[key] = applied(out.get(key), value)
    return out


def _by_uid(owners: Any) -> dict[str, Body]:
    if not isinstance(owners or [], list) or not all(isinstance(owner, dict) for owner in owners or ()):
        raise bad_request(f"{MERGED_BY_UID} is a list of objects")
    return {str(owner.get("uid")): owner for owner in owners or ()}


def without(current: Body, before: Body, config: Body) -> Body:
    """`current` without the fields that were in the applied configuration `before` and are not in `config`."""
    out = dict(current)
    for key, value in before.items():
        if key not in config and key not in ("resourceVersion", "metadata"):
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(config.get(key), dict) and isinstance(out.get(key), dict):
            out[key] = without(out[key], value, config[key])
    return out


def differs(current: Any, config: Any) -> bool:
    """Whether a field of `config` has another value in `current`; one that is not there does not differ."""
    if isinstance(config, dict) and isinstance(current, dict):
        return any(key in current and differs(current[key], value) for key, value in config.items())
    return bool(current != config)

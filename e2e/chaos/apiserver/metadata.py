"""The rules for `metadata`: what a client may set, what the server sets, what never changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from e2e.chaos.apiserver.refusals import Refused, bad_request, cause, invalid
from modelrollout.adapters.kube.resources import SERVICES, Body, Resource

TYPES: Mapping[str, type] = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "uid": str,
    "resourceVersion": str,
    "generation": int,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "deletionGracePeriodSeconds": int,
    "labels": dict,
    "annotations": dict,
    "ownerReferences": list,
    "finalizers": list,
}
"""What is kept, and of which type it is; managedFields are not kept at all."""
ITEMS: Mapping[str, type] = {"labels": str, "annotations": str, "ownerReferences": dict, "finalizers": str}
MADE_HERE = ("creationTimestamp", "generation")
FIXED = ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")
MAX_NAME, MAX_LABEL = 253, 63
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_KEY = re.compile(rf"({SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def cleaned(metadata: Any, kind: str) -> Body:
    """A new mapping without unknown and empty fields. Refused with 400 when a field is of the wrong type."""
    if not isinstance(metadata, dict):
        raise _wrong(kind, "metadata")
    out: Body = {}
    for key, value in metadata.items():
        if key not in TYPES or value is None:
            continue
        if not isinstance(value, TYPES[key]) or isinstance(value, bool):
            raise _wrong(kind, key)
        if key in ITEMS:
            items = list(value.values()) if isinstance(value, dict) else value
            if not isinstance(items, list) or not all(isinstance(item, ITEMS[key]) for item in items):
                raise _wrong(kind, key)
        if value or value == 0:
            out[key] = value
    return out


def born(resource: Resource, namespace: str, metadata: Body, *, suffix: str) -> Body:
    """Metadata of a new object, still without uid, version and time. Refused with 400 or 422."""
    out = {key: value for key, value in metadata.items() if key not in (*MADE_HERE, *FIXED)}
    if "generateName" in out and "name" not in out:
        out["name"] = out["generateName"] + suffix
    _agree(out, resource, namespace)
    if resource.namespaced:
        out["namespace"] = namespace
    name = out.get("name", "")
    causes = [*_name(resource, name), *_labels(out.get("labels", {}))]
    if causes:
        raise invalid(resource, name, causes)
    return out


def kept(resource: Resource, old: Body, new: Body) -> Body:
    """Metadata of an update: the generation and version are still the old ones. Refused with 422."""
    out = {**new, "resourceVersion": old["resourceVersion"]}
    causes: list[Body] = []
    for key in (*FIXED, *MADE_HERE, "namespace"):
        # The time of a deletion is put back, as long as there is one.
        fixed = key in FIXED and (key != "deletionTimestamp" or key not in old)
        if fixed and key in new and new[key] != old.get(key):
            causes.append(cause("Invalid", f"metadata.{key}", f"Invalid value: {new[key]!r}: field is immutable"))
        out.pop(key, None)
        if key in old:
            out[key] = old[key]
    added = [name for name in new.get("finalizers", ()) if name not in old.get("finalizers", ())]
    if "deletionTimestamp" in old and added:
        message = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        causes.append(cause("Forbidden", "metadata.finalizers", message + repr(added)))
    if new.get("labels") != old.get("labels"):
        causes += _labels(new.get("labels", {}))
    if causes:
        raise invalid(resource, old["name"], causes)
    return out


def check_place(resource: Resource, namespace: str, name: str, metadata: Body) -> None:
    """Refused with 400 when the object is not the one of the URL."""
    if "name" not in metadata:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if metadata["name"] != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    _agree(metadata, resource, namespace)


def _agree(metadata: Body, resource: Resource, namespace: str) -> None:
    if resource.namespaced and metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _name(resource: Resource, name: str) -> list[Body]:
    if not name:
        return [cause("Required", "metadata.name", "Required value: name or generateName is required")]
    pattern, longest = (SERVICE_NAME, MAX_LABEL) if resource is SERVICES else (SUBDOMAIN, MAX_NAME)
    if len(name) <= longest and pattern.fullmatch(name):
        return []
    return [cause("Invalid", "metadata.name", f'Invalid value: "{name}": a lowercase RFC 1123 subdomain is expected')]


def _labels(labels: Mapping[str, str]) -> list[Body]:
    wrong = [key for key in labels if not LABEL_KEY.fullmatch(key) or len(key.rpartition("/")[2]) > MAX_LABEL]
    wrong += [value for value in labels.values() if not LABEL.fullmatch(value) or len(value) > MAX_LABEL]
    return [cause("Invalid", "metadata.labels", f'Invalid value: "{text}"') for text in wrong]


def _wrong(kind: str, field: str) -> Refused:
    return bad_request(f"{kind} in this version cannot be handled as a {kind}: {field} is of the wrong type")

"""Answers of class 4xx and 5xx, and their Status."""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.adapters.kube.resources import Body, Resource

LATEST = "the object has been modified; please apply your changes to the latest version and try again"


class Refused(Exception):
    """The request is not carried out. `reason` and `details` as in the Status; absent there when empty or None."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Body | None = None,
        *,
        metadata: Body | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}

    def status(self) -> Body:
        """The Status object of the answer."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
            **({} if self.details is None else {"details": self.details}),
            "code": self.code,
        }


def named(resource: Resource) -> str:
    """A resource as messages call it."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def details(resource: Resource, name: str, kind: str) -> Body:
    """Which object a Status is about."""
    about = {"name": name, "group": resource.group, "kind": kind}
    return {key: value for key, value in about.items() if value}


def not_found(resource: Resource, name: str) -> Refused:
    message = f'{named(resource)} "{name}" not found'
    return Refused(404, "NotFound", message, details(resource, name, resource.plural))


def no_subresource() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str, *, deleting: bool = False) -> Refused:
    message = f'{"object is being deleted: " if deleting else ""}{named(resource)} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, details(resource, name, resource.plural))


def conflict(resource: Resource, name: str, why: str = LATEST) -> Refused:
    message = f'Operation cannot be fulfilled on {named(resource)} "{name}": {why}'
    return Refused(409, "Conflict", message, details(resource, name, resource.plural))


def cause(reason: str, field: str, message: str) -> Body:
    """One finding; `reason` without its prefix FieldValue."""
    return {"reason": f"FieldValue{reason}", "message": message, "field": field}


def invalid(resource: Resource, name: str, causes: Sequence[Body]) -> Refused:
    """What validation found."""
    found = ", ".join(f"{cause['field']}: {cause['message']}" for cause in causes)
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    about = {**details(resource, name, resource.kind), "causes": list(causes)}
    return Refused(422, "Invalid", f'{kind} "{name}" is invalid: {found}', about)


def unconditional(resource: Resource, name: str) -> Refused:
    """An update that does not say which version it is of."""
    why = cause("Invalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
    about = {**details(resource, name, resource.plural), "causes": [why]}
    return Refused(422, "Invalid", f'{named(resource)} "{name}" is invalid: {why["field"]}: {why["message"]}', about)


def unprocessable() -> Refused:
    """A JSON Patch that can't be carried out, also one whose `test` failed: no word about what, and empty details."""
    return Refused(422, "Invalid", "the server rejected our request due to an error in our request", {})


def no_manager() -> Refused:
    """A server-side apply of nobody."""
    why = cause("Required", "fieldManager", "Required value: is required for apply patch")
    about: Body = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [why]}
    return Refused(422, "Invalid", f"PatchOptions.meta.k8s.io is invalid: fieldManager: {why['message']}", about)


def unsupported(accepted: str) -> Refused:
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return Refused(415, "UnsupportedMediaType", message)


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def internal(message: str) -> Refused:
    """Some mistakes of the client are answered so, without a reason."""
    return Refused(500, "", message)


def too_new(wanted: int, current: int) -> Refused:
    """A version that has not been written yet; the real one waits three seconds for it."""
    about: Body = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return Refused(504, "Timeout", message, {**about, "retryAfterSeconds": 1})


def expired(message: str, *, metadata: Body | None = None) -> Refused:
    return Refused(410, "Expired", message, metadata=metadata)

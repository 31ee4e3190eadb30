"""Answers of class 4xx and 5xx, and their Status."""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.adapters.kube.resources import Body, Resource

LATEST = "the object has been modified; please apply your changes to the latest version and try again"


class Refused(Exception):
    """The request is not carried out. `details` is the Status' part of that name, empty when it says nothing."""

    def __init__(self, code: int, reason: str, message: str, details: Body | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details: Body = details or {}

    def status(self) -> Body:
        """The Status object of the answer."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def named(resource: Resource) -> str:
    """A resource as messages call it."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _details(resource: Resource, name: str, kind: str, causes: Sequence[Body] = ()) -> Body:
    details: Body = {"name": name} | ({"group": resource.group} if resource.group else {}) | {"kind": kind}
    return details | ({"causes": list(causes)} if causes else {})


def not_found(resource: Resource, name: str) -> Refused:
    message = f'{named(resource)} "{name}" not found'
    return Refused(404, "NotFound", message, _details(resource, name, resource.plural))


def already_exists(resource: Resource, name: str) -> Refused:
    message = f'{named(resource)} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, _details(resource, name, resource.plural))


def conflict(resource: Resource, name: str, why: str = LATEST) -> Refused:
    message = f'Operation cannot be fulfilled on {named(resource)} "{name}": {why}'
    return Refused(409, "Conflict", message, _details(resource, name, resource.plural))


def invalid(resource: Resource, name: str, causes: Sequence[Body]) -> Refused:
    """What validation found; a cause has `reason`, `message` and `field`."""
    found = ", ".join(f"{cause['field']}: {cause['message']}" for cause in causes)
    message = f'{resource.kind}.{resource.group} "{name}" is invalid: {found}'
    return Refused(422, "Invalid", message, _details(resource, name, resource.kind, causes))


def unprocessable() -> Refused:
    """A JSON Patch that can't be carried out, also one whose `test` failed: no word about what, and no details."""
    return Refused(422, "Invalid", "the server rejected our request due to an error in our request")


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def expired(message: str) -> Refused:
    return Refused(410, "Expired", message)

"""One class of error per cause, so that callers choose what to do by type.

RolloutError
|- SpecError               the user must change the object; no retry until its generation changes
|- Transient              retry with back-off
|  |- ApiUnavailable      connection, timeout or 5xx; after a write the result is unknown: read again
|  |- Throttled           429; carries `retry_after`
|  |- MetricsUnavailable  Prometheus did not answer in a usable way; carries `kind`
|  |- StaleRead           the cache is older than our own last write
|- Conflict               somebody else wrote first: read again and decide again
|- Gone                   the object does not exist
|- Denied                 RBAC or admission said no
|- Bug                    an invariant is broken: freeze this rollout, alert, keep the process
"""

from __future__ import annotations


class RolloutError(Exception):
    """Base of all errors of this package; `subject` names the object concerned."""

    def __init__(self, message: str, *, subject: str = "") -> None:
        super().__init__(f"{subject}: {message}" if subject else message)
        self.message = message
        self.subject = subject


class SpecError(RolloutError):
    """The object can't be carried out as written; `field` is the path of the culprit."""

    def __init__(self, message: str, *, field: str = "", subject: str = "") -> None:
        super().__init__(message, subject=subject)
        self.field = field


class Transient(RolloutError):
    """May work later."""


class ApiUnavailable(Transient):
    """The API server did not answer, or answered 5xx. A write may or may not have happened."""


class Throttled(Transient):
    """The API server asks for patience."""

    def __init__(self, message: str, *, retry_after: float = 1.0, subject: str = "") -> None:
        super().__init__(message, subject=subject)
        self.retry_after = retry_after


class MetricsUnavailable(Transient):
    """Prometheus is unreachable or its answer can't be used; `kind` is a class, never a response body."""

    def __init__(self, kind: str, *, subject: str = "") -> None:
        super().__init__(kind, subject=subject)
        self.kind = kind


class StaleRead(Transient):
    """A cached object is older than our own last write to it."""


class Conflict(RolloutError):
    """The object changed since it was read."""


class Gone(RolloutError):
    """The object does not exist (any more)."""


class Denied(RolloutError):
    """The API server refuses for lack of rights or by admission."""


class Bug(RolloutError):
    """Something that can't happen did."""

"""What kubectl complains of, in one sentence with what to do about it."""

from __future__ import annotations

import re
from enum import StrEnum

INSTALL = "kubectl apply --server-side -f crds/"


class Cause(StrEnum):
    """What is the matter, as far as a program must tell."""

    NOT_FOUND = "not found"
    FORBIDDEN = "forbidden"
    NO_CRD = "no CRD"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    OTHER = "other"


LASTING = frozenset({Cause.NOT_FOUND, Cause.FORBIDDEN, Cause.NO_CRD})
"""What asking again does not mend."""


class Complaint(Exception):
    """A call of kubectl has failed; the text is a sentence for the user."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause


_LOG = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d|^Warning: ")
_NOT_FOUND = re.compile(r'(?P<resource>[a-z]+)\.modelrollout\.dev "(?P<name>[^"]*)" not found')
_KINDS = {
    **{"modelrollouts": "ModelRollout", "rolloutactions": "RolloutAction"},
    **{"metricsources": "MetricSource", "sliprofiles": "SliProfile"},
}
_NO_CRD = re.compile(r"doesn't have a resource type|no matches for kind|could not find the requested resource")
_FORBIDDEN = re.compile(r"\(Forbidden\): *(?P<what>.*)")
_DENIED = re.compile(r"(?:is forbidden: |forbidden: )(?P<why>.*)")
_LOGIN = re.compile(r"\(Unauthorized\)|getting credentials|must be logged in|provide credentials")
_CONTEXT = re.compile(
    r'context "(?P<name>[^"]*)" does not exist|context was not found for specified context: (?P<old>.*)'
)
_FILE = re.compile(r"stat (?P<file>.*): no such file or directory|error loading config file \"(?P<bad>[^\"]*)\"")
_NO_NAMESPACE = re.compile(r'namespaces "(?P<name>[^"]*)" not found')
_AWAY = re.compile(
    r"connection to the server (?P<server>\S+) was refused|Unable to connect to the server: (?P<why>.*)"
    r"|no configuration has been provided|dial tcp|connection refused|i/o timeout|TLS handshake timeout"
)
_TIMEOUT = re.compile(r"context deadline exceeded|Client\.Timeout|request timeout|\(Timeout\)")
_BUSY = re.compile(r"\(TooManyRequests\)|\(ServiceUnavailable\)|\(InternalError\)")


def missing() -> Complaint:
    """There is no kubectl."""
    return Complaint(Cause.OTHER, "kubectl is not on PATH; install it: everything is asked for through it")


def complaint(said: str, place: str) -> Complaint:
    """What kubectl wrote to stderr, told anew. `place`: where was looked, such as " in namespace serving"."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _LOG.match(line)]
    text = " ".join(lines)
    return _of_objects(text, place) or _of_connections(text) or Complaint(Cause.OTHER, _plain(text))


def _of_objects(text: str, place: str) -> Complaint | None:
    if found := _NOT_FOUND.search(text):
        kind = _KINDS.get(found["resource"], found["resource"])
        return Complaint(
            Cause.NOT_FOUND,
            f'{kind} "{found["name"]}" not found{place}; look for it with: kubectl modelrollout list -A',
        )
    if found := _NO_NAMESPACE.search(text):
        return Complaint(Cause.NOT_FOUND, f'namespace "{found["name"]}" not found; name another with -n')
    if found := _FORBIDDEN.search(text):
        denied = _DENIED.search(found["what"])
        why = clean(denied["why"] if denied else found["what"])
        return Complaint(Cause.FORBIDDEN, f"forbidden: {why}; ask for that right, `view` to read or `act` to order")
    if _NO_CRD.search(text):
        return Complaint(
            Cause.NO_CRD,
            f"this cluster has no ModelRollouts: choose another with --context, or install the CRDs: {INSTALL}",
        )
    return None


def _of_connections(text: str) -> Complaint | None:
    if found := _CONTEXT.search(text):
        name = clean(found["name"] or found["old"] or "")
        return Complaint(Cause.OTHER, f'context "{name}" does not exist; see: kubectl config get-contexts')
    if found := _FILE.search(text):
        return Complaint(Cause.OTHER, f"kubeconfig {clean(found['file'] or found['bad'])} can't be read; name another")
    if _LOGIN.search(text):
        return Complaint(Cause.OTHER, f"the cluster does not know you: log in again ({_plain(text)})")
    if _TIMEOUT.search(text):
        return Complaint(Cause.TIMEOUT, f"the cluster has not answered in time; try again ({_plain(text)})")
    if found := _AWAY.search(text):
        why = clean(found["why"] or "") or (
            f"{found['server']} refuses connections" if found["server"] else _plain(text)
        )
        return Complaint(
            Cause.UNREACHABLE, f"no cluster can be reached ({why}); choose one with --context or KUBECONFIG"
        )
    if _BUSY.search(text):
        return Complaint(Cause.TIMEOUT, f"the cluster can't answer now; try again ({_plain(text)})")
    return None


def _plain(text: str) -> str:
    bare = clean(text).removeprefix("error: ").removeprefix("Error from server ")
    return bare if len(bare) <= 300 else f"{bare[:299]}…"


def clean(text: str) -> str:
    """Text of others that steers no terminal: what can't be printed is spelled out."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)

"""`modelrollout doctor`: CRDs, and what the caller and the operator may do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelrollout.cli.asking import Asking, bodies
from modelrollout.cli.complaints import INSTALL, Cause, Complaint
from modelrollout.cli.fields import Fields
from modelrollout.cli.findings import Finding, error, ok, unknown, warning

GROUP, VERSION = "modelrollout.dev", "v1alpha1"
RESOURCES = ("modelrollouts", "metricsources", "rolloutactions", "sliprofiles")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
GATEWAY = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource; `place` empty: in the whole cluster. A subresource stands behind a slash."""

    verb: str
    group: str
    resource: str
    place: str

    @property
    def what(self) -> str:
        """`rolloutactions/status.modelrollout.dev in serving`."""
        full = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{full} in {self.place}" if self.place else full


def _rights(rules: Mapping[tuple[str, str], str], place: str) -> list[Right]:
    return [Right(verb, group, name, place) for (group, name), verbs in rules.items() for verb in verbs.split()]


READ = {(GROUP, "modelrollouts"): "get list watch"}
ACT = {(GROUP, "rolloutactions"): "create"}
SERVED = {
    (GROUP, "modelrollouts"): "get list watch patch",
    (GROUP, "modelrollouts/status"): "patch",
    (GROUP, "rolloutactions"): "get list watch delete",
    (GROUP, "rolloutactions/status"): "patch",
    ("apps", "deployments"): "get list watch",
    ("", "services"): "get list watch",
    ("discovery.k8s.io", "endpointslices"): "get list watch",
    ("events.k8s.io", "events"): "create patch",
}
"""What the operator needs in the namespaces that it serves, as in docs/how-to/run-the-operator.md."""
ROUTES = {(GATEWAY, "httproutes"): "get list watch create patch"}
EVERYWHERE = {
    (GROUP, "metricsources"): "get list watch",
    (GROUP, "sliprofiles"): "get list watch",
    (GROUP, "sliprofiles/status"): "patch",
}
OWN = {("coordination.k8s.io", "leases"): "get create update"}


def operator_rights(namespace: str, own: str, *, routes: bool) -> list[Right]:
    """All that the operator needs for rollouts of `namespace`; `own`: the Lease's. `routes`: HTTPRoutes are served."""
    here = SERVED | (ROUTES if routes else {})
    return [*_rights(here, namespace), *_rights(EVERYWHERE, ""), *_rights(OWN, own)]


def callers_rights(namespace: str) -> tuple[list[Right], list[Right]]:
    """Those of a reader, and those that orders take beyond."""
    return _rights(READ, namespace), _rights(ACT, namespace)


def crds(asking: Asking) -> Iterator[Finding]:
    """Whether ours are served, and hold every field that this client knows."""
    served = asking.raw("the served versions", f"/apis/{GROUP}/{VERSION}")
    if isinstance(served, Complaint):
        yield unknown("crds", f"what the API server serves can't be read: {served}")
        return
    names = {each.text("name") for each in Fields(served or {}).items("resources")}
    missing = [each for each in RESOURCES if each not in names]
    if missing:
        told = ", ".join(f"{each}.{GROUP}" for each in missing)
        yield error("crds", f"{told} not served in {VERSION}", INSTALL)
        return
    yield ok("crds", f"{', '.join(RESOURCES)} are served in {VERSION}")
    found = asking.items("the CRDs", CRDS, *(f"{each}.{GROUP}" for each in RESOURCES))
    if isinstance(found, Complaint):
        yield unknown("crd fields", f"the CRDs can't be read, so their fields can't be compared: {found}")
    else:
        yield fields(found)


def fields(found: Iterable[Mapping[str, Any]]) -> Finding:
    """The fields of the stored schemas against those of this client."""
    from modelrollout.api.crd import KINDS, definition

    stored = {Fields(each).part("spec", "names").text("plural"): paths(each) for each in found}
    lacking, beyond = [], []
    for kind in KINDS:
        ours, theirs = paths(definition(kind)), stored.get(kind.plural, frozenset())
        lacking += [f"{kind.name}{path}" for path in sorted(ours - theirs)]
        beyond += [f"{kind.name}{path}" for path in sorted(theirs - ours)]
    if lacking:
        told = f"{len(lacking)} fields of this client are not in the cluster's CRDs, such as {lacking[0]}"
        return warning("crd fields", f"{told}: the API server drops or refuses them", INSTALL)
    if beyond:
        told = f"the cluster's CRDs have {len(beyond)} fields that this client does not know, such as {beyond[0]}"
        return warning("crd fields", told, "install the client of the operator's version")
    return ok("crd fields", "the CRDs have the fields of this client")


def paths(crd: Mapping[str, Any]) -> frozenset[str]:
    """Paths of all fields of a CRD's version, such as `.spec.steps[].weight`."""
    version = next((v for v in Fields(crd).part("spec").items("versions") if v.text("name") == VERSION), Fields({}))
    found: set[str] = set()
    ahead = [("", version.part("schema", "openAPIV3Schema"))]
    while ahead:
        path, schema = ahead.pop()
        properties = schema.part("properties")
        for name in properties.names():
            found.add(f"{path}.{name}")
            ahead.append((f"{path}.{name}", properties.part(name)))
        for key in ("items", "additionalProperties"):
            if schema.part(key):
                ahead.append((f"{path}[]", schema.part(key)))
    # The API server adds these where they are missing.
    return frozenset(found - {".apiVersion", ".kind", ".metadata"})


def rights(asking: Asking, wanted: Sequence[Right], *, as_user: str = "") -> list[Right] | Complaint:
    """Those of the rights that are refused; `as_user`: to this user, as which the caller must be allowed to ask."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": each.place,
                    "verb": each.verb,
                    "group": each.group,
                    "resource": each.resource.partition("/")[0],
                    "subresource": each.resource.partition("/")[2],
                }
            },
        }
        for each in wanted
    ]
    flags = [f"--as={as_user}"] if as_user else []
    # As `kubectl auth can-i`, for all of them in one call.
    answer = asking.text(
        f"the rights of {as_user or 'the caller'}",
        *("create", "--filename=-", "--output=json", *flags),
        text=json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews}),
    )
    if isinstance(answer, Complaint):
        return answer
    allowed = [Fields(each).part("status").flag("allowed") for each in bodies(answer)]
    if len(allowed) != len(wanted):
        return Complaint(Cause.OTHER, "the API server has not answered every review")
    return [each for each, yes in zip(wanted, allowed, strict=True) if not yes]


def callers(asking: Asking, namespace: str) -> Iterator[Finding]:
    """What the caller may do."""
    read, act = callers_rights(namespace)
    for name, wanted, role, grave in (
        ("your right to read", read, "view", True),
        ("your right to order", act, "act", False),
    ):
        refused = rights(asking, wanted)
        if isinstance(refused, Complaint):
            yield unknown(name, f"it can't be asked for: {refused}")
        elif refused:
            told = f"refused: {_told(refused)}"
            fix = f"ask for the ClusterRole that ends in :{role}, bound in namespace {namespace}"
            yield error(name, told, fix) if grave else warning(name, told, fix)
        else:
            yield ok(name, _told(wanted))


def _told(found: Sequence[Right]) -> str:
    """`get, list rolloutactions.modelrollout.dev in serving; patch ...`."""
    verbs: dict[str, list[str]] = {}
    for each in found:
        verbs.setdefault(each.what, []).append(each.verb)
    return "; ".join(f"{', '.join(those)} {what}" for what, those in verbs.items())


def operators_rights(asking: Asking, *, user: str, namespace: str, own: str, routes: bool) -> Finding:
    """Whether the operator's account may do what rollouts of `namespace` take."""
    name = "operator's rights"
    refused = rights(asking, operator_rights(namespace, own, routes=routes), as_user=user)
    if isinstance(refused, Complaint):
        who = "you may not impersonate it" if refused.cause is Cause.FORBIDDEN else str(refused)
        return unknown(name, f"those of {user} can't be asked for: {who}", f"kubectl auth can-i --list --as={user}")
    if refused:
        told = f"{user} may not {_told(refused)}"
        return error(name, told, "add the namespace to the chart's `namespaces`, or bind the rights of its page")
    return ok(name, f"{user} may do what rollouts in {namespace} take")

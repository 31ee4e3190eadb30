"""`kubectl auth can-i --list` for the operator and for people, on a real API server: less than a page each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from e2e.chart import IMAGE, rendered
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.programs import gateway_api_crds
from tests.layout.documents import ROOT

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

GOLDEN = Path(__file__).parent / "rights"
PAGE = 60
"""Lines."""
SET = ("--set", f"image.repository={IMAGE}", "--set", "secrets={prometheus-token}")
RELEASES = {"narrow": ("--set", "namespaces={serving}"), "wide": ("--set", "scope=cluster")}
"""Namespace of each release, and what is set for it."""
RBAC = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
NAMESPACES = ("narrow", "wide", "serving", "other")
PERSONAS = ("view", "edit", "admin")
NOBODY = "nobody"
OURS = "modelrollout.dev"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """Both releases' accounts and roles, and a person for each role that people have."""
    with apiserver(crds=[gateway_api_crds(), ROOT / "crds"]) as running:
        for namespace in NAMESPACES:
            running.kubectl("create", "namespace", namespace)
        objects = []
        for namespace, flags in RELEASES.items():
            found = rendered(*SET, *flags, namespace=namespace)
            objects += [o for o in found if o["kind"] in RBAC]
        running.kubectl(
            "apply", "-f", "-", input_text=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
        )
        for persona in PERSONAS:
            bind(running, persona, aggregated(running, persona))
        bind(running, "act", ["narrow.modelrollout:act"])
        # The server takes in new bindings a moment after it stored them.
        attempts = 100
        while attempts and not allowed(running, ("--as", "act"), "create", f"rolloutactions.{OURS}", "-n", "serving"):
            attempts -= 1
        assert attempts, "the last binding is without effect"
        yield running


def aggregated(server: ApiServer, persona: str) -> list[str]:
    """Names of the roles that the controller manager, which does not run here, would add to a built-in one."""
    role = json.loads(server.kubectl("get", "clusterrole", persona, "-o", "json").stdout)
    (selector,) = role["aggregationRule"]["clusterRoleSelectors"]
    (label,) = selector["matchLabels"].items()
    found = server.kubectl("get", "clusterrole", "-l", "=".join(label), "-o", "name").stdout.split()
    return [name.partition("/")[2] for name in found if "/narrow." in name]


def bind(server: ApiServer, person: str, roles: Sequence[str]) -> None:
    for number, role in enumerate(roles):
        server.kubectl(
            *("create", "rolebinding", f"{person}-{number}", "-n", "serving"),
            f"--clusterrole={role}",
            f"--user={person}",
        )


def account(namespace: str, name: str = "modelrollout") -> tuple[str, ...]:
    """Flags of kubectl that speak as a service account."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return ("--as", f"system:serviceaccount:{namespace}:{name}", *(f"--as-group={group}" for group in groups))


def own(server: ApiServer, namespace: str, who: Sequence[str], nobody: Sequence[str]) -> list[str]:
    """Rows of `can-i --list` that `nobody` does not have."""
    theirs = set(listed(server, namespace, *nobody))
    return [row for row in listed(server, namespace, *who) if row not in theirs]


def listed(server: ApiServer, namespace: str, *who: str) -> list[str]:
    text = server.kubectl("auth", "can-i", "--list", "-n", namespace, *who).stdout
    assert len(text.splitlines()) < PAGE
    rows = (re.fullmatch(r"(\S*)\s+(\[.*?\])\s+(\[.*?\])\s+\[(.*?)\]", line) for line in text.splitlines())
    # Bindings come in no order of their own.
    return sorted(" | ".join((*row.groups()[:3], " ".join(sorted(row[4].split())))) for row in rows if row)


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_the_rights_of_the_operator_are_the_golden_ones(server: ApiServer, release: str) -> None:
    told = []
    for namespace in (release, "serving", "other"):
        told += [f"# in namespace {namespace}", *own(server, namespace, account(release), account("other", NOBODY))]
    assert [line for line in told if "*" in line] == []
    golden(f"{release}.txt", told)


@pytest.mark.parametrize("person", [*PERSONAS, "act"])
def test_the_rights_of_people_are_the_golden_ones(server: ApiServer, person: str) -> None:
    lines = own(server, "serving", ("--as", person), ("--as", NOBODY))
    assert lines
    assert all(OURS in line and "*" not in line for line in lines)
    golden(f"{person}.txt", lines)


def golden(name: str, lines: Sequence[str]) -> None:
    assert list(lines) == (GOLDEN / name).read_text().splitlines()


def allowed(server: ApiServer, who: Sequence[str], *question: str) -> bool:
    return server.kubectl("auth", "can-i", *question, *who, check=False).stdout.strip() == "yes"


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_no_secret_is_readable_but_those_named_in_the_release(server: ApiServer, release: str) -> None:
    who = account(release)
    assert allowed(server, who, "get", "secrets/prometheus-token", "-n", release)
    for verb in ("get", "list", "watch", "create", "update", "patch", "delete"):
        for where in (*(("-n", n) for n in NAMESPACES), ("-n", "kube-system"), ("--all-namespaces",)):
            assert not allowed(server, who, verb, "secrets", *where), (verb, where)
    for namespace in {*NAMESPACES, "kube-system"} - {release}:
        assert not allowed(server, who, "get", "secrets/prometheus-token", "-n", namespace)
    assert not allowed(server, who, "get", "secrets/other", "-n", release)


@pytest.mark.parametrize(
    ("person", "verb", "resource", "may"),
    [
        ("view", "get", "modelrollouts", True),
        ("view", "patch", "modelrollouts", False),
        ("edit", "patch", "modelrollouts", True),
        ("edit", "patch", "modelrollouts/status", False),
        ("edit", "create", "rolloutactions", False),
        ("admin", "create", "rolloutactions", False),
        ("act", "create", "rolloutactions", True),
        ("act", "patch", "rolloutactions", False),
        ("act", "patch", "modelrollouts", False),
        ("admin", "get", "metricsources", False),
        ("edit", "patch", "sliprofiles", False),
        ("admin", "create", "sliprofiles", False),
        (NOBODY, "get", "modelrollouts", False),
    ],
)
def test_who_may_edit_may_not_act(server: ApiServer, person: str, verb: str, resource: str, may: bool) -> None:
    what, _, subresource = resource.partition("/")
    more = (f"--subresource={subresource}",) if subresource else ()
    assert allowed(server, ("--as", person), verb, f"{what}.{OURS}", "-n", "serving", *more) is may

"""The tables of `doctor`: rights and routers are those of the manifests and of the API."""

from __future__ import annotations

import yaml
from pydantic.alias_generators import to_camel

from modelrollout.api.v1alpha1.traffic import Traffic
from modelrollout.cli import doctor_rollouts, doctor_server
from modelrollout.cli.complaints import Cause, Complaint
from tests.layout.documents import ROOT
from tests.unit.cli.cluster_answers import asking
from tests.unit.cli.doctor_scene import (
    healthy,
)


def test_the_operators_rights_are_those_of_the_manifest() -> None:
    """The table of the client and the rights that are installed must not part."""
    manifest = list(yaml.safe_load_all((ROOT / "examples" / "rbac.yaml").read_text()))
    granted = {
        (group, resource, verb)
        for each in manifest
        if each["kind"] in ("ClusterRole", "Role")
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = {
        (e.group, e.resource, e.verb) for e in doctor_server.operator_rights("serving", "modelrollout", routes=True)
    }
    # Secrets, namespaces and what single routers take beyond are not asked for.
    resources = {(group, resource) for group, resource, _ in asked}
    assert asked == {each for each in granted if each[:2] in resources}
    assert {"modelrollouts", "modelrollouts/status", "rolloutactions", "metricsources", "leases"} <= {
        resource for _, resource in resources
    }


def test_a_review_without_all_its_answers_is_no_answer() -> None:
    cluster = healthy()
    object.__setattr__(cluster, "_review", lambda *_: '{"status": {"allowed": true}}')
    wanted = doctor_server.callers_rights("serving")[0]
    refused = doctor_server.rights(asking(cluster), wanted)
    assert isinstance(refused, Complaint)
    assert refused.cause is Cause.OTHER


def test_every_router_of_the_api_is_looked_for() -> None:
    named = {to_camel(name) for name in Traffic.model_fields}
    assert named == {*doctor_rollouts.ROUTERS, *doctor_rollouts.BESIDE}

"""`diff`: two revisions of a rollout, from its status and from the templates that the cluster still has."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from modelrollout.adapters.kube.projection import template_hash
from modelrollout.cli.fields import Fields
from modelrollout.cli.revisions import LEGACY, chosen, side
from modelrollout.core.revision import revision_hash
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.scenes import scene
from tests.unit.cli.test_reads import run

FORBIDDEN = (
    'Error from server (Forbidden): deployments.apps is forbidden: User "jo" cannot list resource "deployments"\n'
)


def template(tag: str) -> dict[str, Any]:
    containers = [{"name": "server", "image": f"registry.example.com/fraud:{tag}"}]
    return {"metadata": {"labels": {"app": "fraud"}, "creationTimestamp": None}, "spec": {"containers": containers}}


def replicaset(deployment: str, tag: str, pods: str) -> dict[str, Any]:
    body = template(tag)
    body["metadata"]["labels"]["pod-template-hash"] = pods
    owner = {"kind": "Deployment", "name": deployment}
    return {"metadata": {"name": f"{deployment}-{pods}", "ownerReferences": [owner]}, "spec": {"template": body}}


def deployment(name: str, tag: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"template": template(tag)}}


def pod(pods: str, digest: str) -> dict[str, Any]:
    statuses = [{"name": "server", "imageID": f"registry.example.com/fraud@sha256:{digest}"}]
    return {"metadata": {"labels": {"pod-template-hash": pods}}, "status": {"containerStatuses": statuses}}


MODEL = ("fraud", "8")
EARLIER = revision_hash(template_hash(template("8.0")), "fraud", "7")
PRESENT = revision_hash(template_hash(template("8.1")), *MODEL)


def rollout(**status: Any) -> dict[str, Any]:
    """The rollout of scene 1: what was taken back is present, and another revision was promoted before."""
    obj = json.loads(json.dumps(scene("1-errors")[0]).replace("1d51f1f1b4", PRESENT))
    obj["spec"]["candidate"]["model"] = {"name": MODEL[0], "version": MODEL[1]}
    obj["spec"]["legacy"]["model"] = {"name": "fraud", "version": "7"}
    obj["metadata"]["generation"] = obj["status"]["observedGeneration"] = 2
    for each in obj["status"]["decisions"]:
        each["generation"] = 2
    first = {**obj["status"]["decisions"][0], "revision": EARLIER, "generation": 1}
    promoted = {
        **{"revision": EARLIER, "outcome": "Promoted", "reason": "Promoted", "message": "all steps were taken"},
        **{"startedAt": "2027-01-14T08:00:00Z", "endedAt": "2027-01-14T09:30:00Z"},
    }
    obj["status"]["decisions"].insert(0, first)
    obj["status"]["decisions"].insert(1, {**first, "action": "Promote", "weight": "100"})
    obj["status"]["history"].insert(0, promoted)
    obj["status"] |= status
    return dict(obj)


def answers(kubectl: FakeKubectl, obj: dict[str, Any]) -> None:
    deployments = [deployment("fraud-v7", "8.0"), deployment("fraud-v8", "8.1")]
    sets = [replicaset("fraud-v7", "8.0", "aaa"), replicaset("fraud-v8", "8.1", "bbb"), {"metadata": {}}]
    kubectl.finds(obj)
    kubectl.finds({"items": deployments})
    kubectl.finds({"items": sets})
    kubectl.finds({"items": [pod("aaa", "11"), pod("bbb", "22"), pod("bbb", "22"), pod("bbb", "23"), pod("zzz", "9")]})


def compared(kubectl: FakeKubectl, *arguments: str) -> dict[str, Any]:
    code, out, err = run("diff", "fraud", *arguments, "-o", "json")
    assert (code, err) == (0, "")
    return dict(json.loads(out))


def test_the_present_revision_is_held_against_the_one_that_ended_before_it(kubectl: FakeKubectl) -> None:
    answers(kubectl, rollout())
    found = compared(kubectl)
    older, newer = found["older"], found["newer"]
    assert (older["revision"], newer["revision"], newer["present"]) == (EARLIER, PRESENT, True)
    assert (
        older["fields"]
        | {
            "outcome": "Promoted",
            "took": "90m",
            "course": "Raise 5 %, Promote 100 %",
            "reached": "100 %",
            "deployment": "fraud-v7",
            "model": "fraud 7",
            "image server": "registry.example.com/fraud:8.0",
            "digest server": "sha256:11",
        }
        == older["fields"]
    )
    assert (
        newer["fields"]
        | {
            "outcome": "RolledBack",
            "reason": "BudgetBurn",
            "course": "Raise 5 %, Raise 25 %, Rollback 25 %",
            "deployment": "fraud-v8",
            "model": "fraud 8",
            "steps": "5 % for 1m, 25 % for 1m, 50 % for 1m, 100 % for 5m",
            "slis": "errors 99 %; latency 95 % under 300ms",
            "image server": "registry.example.com/fraud:8.1",
            "digest server": "sha256:22, sha256:23",
            "sli errors": "20.5 % of 1,233, FAIL",
        }
        == newer["fields"]
    )
    assert {"outcome", "model", "image server", "digest server"} <= set(found["differs"])
    assert found["same"] == []
    asked = [call.partition(" get ")[2] for call in kubectl.calls]
    assert asked[1:] == [
        "deployments.apps --output=json",
        "replicasets.apps --output=json",
        "pods --selector=pod-template-hash in (aaa,bbb) --output=json",
    ]


def test_what_is_not_stored_is_named_and_never_the_same(kubectl: FakeKubectl) -> None:
    answers(kubectl, rollout())
    found = compared(kubectl)
    missing = found["older"]["notKnown"]
    assert missing["steps"] == missing["slis"] == "the API server keeps no earlier spec; see Git"
    assert missing["sli errors"].startswith("only the present revision's counts are kept")
    assert not {"steps", "slis", "sli errors"} & {*found["differs"], *found["same"]}
    answers(kubectl, rollout())
    page = run("diff", "fraud")[1]
    assert f"{EARLIER}: steps, slis: the API server keeps no earlier spec; see Git" in page


def test_revisions_of_one_version_of_the_object_share_its_spec(kubectl: FakeKubectl) -> None:
    """Another pod template in the candidate's Deployment leaves the generation as it is."""
    obj = rollout()
    for each in obj["status"]["decisions"]:
        each["generation"] = 2
    answers(kubectl, obj)
    assert {"steps", "slis"} <= set(compared(kubectl)["same"])


def test_a_spec_that_the_operator_has_not_seen_is_no_revisions_spec(kubectl: FakeKubectl) -> None:
    obj = rollout()
    obj["metadata"]["generation"] = 3
    answers(kubectl, obj)
    assert compared(kubectl)["newer"]["notKnown"]["steps"] == "the operator has not seen the present spec yet"


def test_without_an_earlier_revision_legacy_is_the_other_side(kubectl: FakeKubectl) -> None:
    obj = rollout()
    obj["status"]["history"] = obj["status"]["history"][1:]
    obj["status"]["decisions"] = obj["status"]["decisions"][2:]
    answers(kubectl, obj)
    older = compared(kubectl)["older"]
    assert (older["revision"], older["arm"]) == (None, "legacy")
    assert older["fields"]["sli errors"] == "0.259 % of 3,868"
    assert older["fields"]["image server"] == "registry.example.com/fraud:8.0"
    assert older["fields"]["digest server"] == "sha256:11"
    assert older["notKnown"]["outcome"] == "legacy is what a candidate is held against"


def test_a_template_that_the_cluster_no_longer_has(kubectl: FakeKubectl) -> None:
    kubectl.finds(rollout())
    kubectl.finds({"items": [deployment("fraud-v8", "9.9")]})
    kubectl.finds({"items": []})
    found = compared(kubectl)
    for each in (found["older"], found["newer"]):
        assert each["notKnown"]["images"] == "no Deployment or ReplicaSet has its template"
    assert found["newer"]["fields"]["deployment"] == "fraud-v8"
    assert found["older"]["fields"]["deployment"] is None
    assert len(kubectl.calls) == 3


def test_without_a_replica_set_there_is_an_image_but_no_digest(kubectl: FakeKubectl) -> None:
    kubectl.finds(rollout())
    kubectl.finds({"items": [deployment("fraud-v8", "8.1")]})
    kubectl.finds({"items": []})
    newer = compared(kubectl)["newer"]
    assert newer["fields"]["image server"] == "registry.example.com/fraud:8.1"
    assert newer["notKnown"]["digest server"] == "no pod of it runs"


def test_who_may_not_list_deployments_still_sees_the_rest(kubectl: FakeKubectl) -> None:
    kubectl.finds(rollout())
    kubectl.answers("", said=FORBIDDEN, code=1)
    found = compared(kubectl)
    assert found["newer"]["fields"]["outcome"] == "RolledBack"
    assert "can't be listed: forbidden" in found["newer"]["notKnown"]["images"]


@pytest.mark.parametrize(
    ("asked", "pair"),
    [
        ([], (EARLIER, PRESENT)),
        ([EARLIER], (EARLIER, PRESENT)),
        ([EARLIER[:4]], (EARLIER, PRESENT)),
        ([PRESENT, EARLIER], (PRESENT, EARLIER)),
        ([LEGACY], (LEGACY, PRESENT)),
    ],
)
def test_which_two(asked: list[str], pair: tuple[str, str]) -> None:
    assert chosen(Fields(rollout()), asked) == pair


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("zzz",), 1, f"fraud: 'zzz' is no revision that is still known; there are {EARLIER}, {PRESENT} and legacy"),
        ((PRESENT,), 2, f"fraud: {PRESENT} on both sides; name two that differ"),
        (("a", "b", "c"), 2, "3 revisions: two can be compared"),
        (("-o", "name"), 2, "-o name: a comparison has none; use text, json or yaml"),
    ],
)
def test_what_can_not_be_compared(kubectl: FakeKubectl, arguments: tuple[str, ...], code: int, told: str) -> None:
    answers(kubectl, rollout())
    assert run("diff", "fraud", *arguments) == (code, "", f"error: {told}\n")


def test_an_ambiguous_beginning_is_refused() -> None:
    obj = copy.deepcopy(rollout())
    obj["status"]["history"][0]["revision"] = PRESENT[:3] + "0000000"
    with pytest.raises(ValueError, match="begins the names of several revisions"):
        chosen(Fields(obj), [PRESENT[:3]])


def test_before_an_operator_has_looked(kubectl: FakeKubectl) -> None:
    answers(kubectl, {**rollout(), "status": {}})
    code, out, err = run("diff", "fraud")
    assert (code, out) == (1, "")
    assert "no operator has looked at it yet" in err


def test_a_revision_under_way_has_no_end() -> None:
    obj = rollout(phase="Progressing", reason="Progressing", message="step 2/4")
    obj["status"]["history"] = obj["status"]["history"][:1]
    cells = side(Fields(obj), PRESENT).cells
    assert (cells["outcome"].text, cells["took"].text, cells["took"].why) == ("Progressing", None, "it has not ended")


def test_a_retried_revision_is_not_told_by_its_last_end() -> None:
    cells = side(Fields(rollout(phase="Progressing", reason="Progressing", message="step 1/4")), PRESENT).cells
    assert [cells[name].text for name in ("outcome", "reason", "message")] == ["Progressing", "Progressing", "step 1/4"]


def test_nothing_is_cut_off_on_a_narrow_page(kubectl: FakeKubectl) -> None:
    obj = rollout()
    kubectl.finds(obj)
    kubectl.finds({"items": []})
    kubectl.finds({"items": [replicaset("fraud-v8", "8.1", "bbb")]})
    kubectl.finds({"items": [pod("bbb", "2" * 64)]})
    page = run("diff", "fraud", columns=60)[1]
    assert page.count("2") > 64
    assert "…" not in page


def test_yaml_is_the_same_as_json(kubectl: FakeKubectl) -> None:
    answers(kubectl, rollout())
    out = run("diff", "fraud", "-o", "yaml")[1]
    answers(kubectl, rollout())
    assert yaml.safe_load(out)["differs"]

"""What the in-process API server promises beyond the contract that it shares with the real one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from e2e.chaos.apiserver.objects import RESOURCES
from e2e.chaos.apiserver.server import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, ApiServer, Request, Response
from modelrollout.adapters.kube.resources import HTTPROUTES, LEASES, ROLLOUTS, Body, Resource
from tests.contract.kube.rollouts_suite import body as rollout

SPEC: Body = rollout()["spec"]
NOBODY = Resource("none.dev", "v1", "nones", "None")
START = 1_700_000_000.0


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Client:
    """Sends requests to a server of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.server = ApiServer(now=self.clock)

    def send(
        self,
        method: str,
        resource: Resource,
        name: str = "",
        body: Any = None,
        *,
        content: str = "application/json",
        subresource: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Response:
        path = resource.path("ns", name, subresource)
        return self.server.handle(Request(method, path, query or {}, content, body, "somebody/1"))

    def create(self, resource: Resource, name: str, body: Body) -> Response:
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, **body}
        return self.send("POST", resource, "", whole)


def lease(client: Client, name: str) -> None:
    assert client.create(LEASES, name, {"spec": {"holderIdentity": "x"}}).code == 201


def test_the_history_has_every_version_with_who_wrote_it_and_when() -> None:
    client = Client()
    lease(client, "a")
    client.clock.now += 5
    change = {"spec": {"holderIdentity": "y"}}
    client.server.handle(Request("PATCH", LEASES.path("ns", "a"), {}, MERGE_PATCH, change, "other/2"))
    client.server.handle(Request("PATCH", LEASES.path("ns", "a"), {}, MERGE_PATCH, change, "nobody/3"))
    client.clock.now += 5
    client.send("DELETE", LEASES, "a")
    history = client.server.store.history
    assert [(v.number, v.event, v.agent, v.at - START) for v in history] == [
        (101, "ADDED", "somebody/1", 0.0),
        (102, "MODIFIED", "other/2", 5.0),
        (103, "DELETED", "somebody/1", 10.0),
    ]
    assert {(v.resource, v.place) for v in history} == {(LEASES, ("ns", "a"))}
    bodies = [v.body and (v.body["metadata"]["resourceVersion"], v.body["spec"]["holderIdentity"]) for v in history]
    assert bodies == [("101", "x"), ("102", "y"), None]
    assert history[2].before is history[1].body
    assert history[0].body is not None
    assert history[0].body["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"


def scripted(client: Client) -> list[Response]:
    steps = [client.create(ROLLOUTS, "fraud", {"spec": SPEC})]
    whole = {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"generateName": "x-"},
        "spec": SPEC,
    }
    steps.append(client.send("POST", ROLLOUTS, "", whole))
    status = {"status": {"phase": "Idle"}}
    steps.append(client.send("PATCH", ROLLOUTS, "fraud", status, content=MERGE_PATCH, subresource="status"))
    steps.append(client.send("DELETE", ROLLOUTS, "fraud"))
    steps.append(client.send("GET", ROLLOUTS))
    return steps


def test_the_same_requests_have_the_same_answers() -> None:
    one, other = Client(), Client()
    assert scripted(one) == scripted(other)
    assert one.server.store.history == other.server.store.history


def test_bodies_belong_to_those_who_have_them() -> None:
    client = Client()
    sent: Body = {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": "a"}, "spec": {"a": {"b": 1}}}
    answer = client.send("POST", LEASES, "", sent)
    labels = {"metadata": {"labels": {"l": "1"}}}
    patched = client.send("PATCH", LEASES, "a", labels, content=MERGE_PATCH)
    read, listed = client.send("GET", LEASES, "a"), client.send("GET", LEASES)
    before = json.dumps([version.body for version in client.server.store.history])
    sent["spec"]["a"]["b"] = 2
    labels["metadata"]["labels"]["l"] = "2"
    for body in (answer.body, patched.body, read.body, listed.body["items"][0]):
        body["spec"]["a"]["b"] = 3
        body["metadata"]["resourceVersion"] = "7"
    assert json.dumps([version.body for version in client.server.store.history]) == before
    assert client.send("GET", LEASES, "a").body["spec"] == {"a": {"b": 1}}


def test_a_continue_from_before_a_compaction_is_gone_but_can_go_on_with_what_there_is_now() -> None:
    client = Client()
    for name in "abc":
        lease(client, name)
    first = client.send("GET", LEASES, query={"limit": "1"}).body["metadata"]
    lease(client, "bb")
    client.server.compact(int(first["resourceVersion"]) + 1)
    gone = client.send("GET", LEASES, query={"limit": "1", "continue": first["continue"]})
    assert (gone.code, gone.body["reason"], "details" in gone.body) == (410, "Expired", False)
    rest = client.send("GET", LEASES, query={"continue": gone.body["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in rest.body["items"]] == ["b", "bb", "c"]
    client.server.compact(0)
    assert client.send("GET", LEASES, query={"continue": first["continue"]}).code == 410, "nothing comes back"
    assert len(client.server.store.history) == 4


def test_a_kind_can_be_taken_away_and_brought_back() -> None:
    client = Client()
    lease(client, "a")
    del client.server.served[LEASES]
    assert client.send("GET", LEASES, "a") == Response(
        404, "404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"}
    )
    client.server.served[LEASES] = None
    assert client.send("GET", LEASES, "a").code == 200


@pytest.mark.parametrize(
    ("resource", "name", "query"),
    [
        (LEASES, "a", {}),
        (LEASES, "none", {}),
        (LEASES, "a", {"resourceVersion": "x"}),
        (LEASES, "", {}),
        (NOBODY, "a", {}),
    ],
)
def test_the_wire_has_what_is_answered(resource: Resource, name: str, query: dict[str, str]) -> None:
    client = Client()
    lease(client, "a")
    asked = Request("GET", resource.path("ns", name), query)
    for holder in ("x", "y"):
        client.send("PATCH", LEASES, "a", {"spec": {"holderIdentity": holder}}, content=MERGE_PATCH)
        for _ in range(2):
            wired, answer = client.server.wire(asked), client.server.handle(asked)
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            assert (wired.code, wired.body.decode(), wired.headers) == (answer.code, text, answer.headers)


def test_what_an_older_schema_let_in_can_be_planted_and_its_status_still_written() -> None:
    client = Client()
    made = client.create(ROLLOUTS, "fraud", {"spec": SPEC}).body
    poison = {**made, "spec": {**SPEC, "steps": "all", "nonsense": 1}}
    planted = client.server.store.plant(ROLLOUTS, ("ns", "fraud"), poison, agent="past")
    assert planted["spec"] == poison["spec"]
    assert (planted["metadata"]["uid"], planted["metadata"]["generation"]) == (made["metadata"]["uid"], 2)
    assert client.server.store.history[-1].agent == "past"
    status = {"status": {"phase": "Invalid"}}
    answer = client.send("PATCH", ROLLOUTS, "fraud", status, content=MERGE_PATCH, subresource="status")
    assert (answer.code, answer.body["status"]) == (200, {"observedGeneration": -1, "phase": "Invalid"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        *("metadata", "name", "generateName", "labels", "finalizers", "ownerReferences", "resourceVersion", "uid"),
        *("spec", "status", "kind", "rules", "backendRefs", "weight", "hostnames", "parentRefs", "steps", "conditions"),
        *("endpoints", "ports", "series", "count", "preconditions"),
    ]
)
OBJECT = st.recursive(JSON, lambda inner: st.dictionaries(FIELDS, inner, max_size=4), max_leaves=8)
POINTER = st.lists(FIELDS | st.sampled_from(["0", "-", "-1", "9", ""]), max_size=4).map(lambda way: "/" + "/".join(way))
OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "test", "move", "copy"]) | JSON},
    optional={"path": POINTER | JSON, "from": POINTER | JSON, "value": OBJECT},
)
KINDS = ("application/json", MERGE_PATCH, JSON_PATCH, APPLY_PATCH, "text/plain")


@settings(max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    resource=st.sampled_from(RESOURCES),
    name=st.sampled_from(["", "a", "none"]),
    subresource=st.sampled_from(["", "status", "scale"]),
    content=st.sampled_from(KINDS),
    query=st.dictionaries(
        st.sampled_from(["limit", "continue", "labelSelector", "fieldSelector", "resourceVersion", "fieldManager"]),
        st.sampled_from(["", "0", "1", "-1", "x", "a=b", "a in (b", "eyJ9"]),
    ),
    body=OBJECT | st.lists(OPERATION, max_size=3),
    whole=st.booleans(),
)
@example("PATCH", HTTPROUTES, "a", "", JSON_PATCH, {}, [{"op": "add", "path": "/spec/rules", "value": [7]}], False)
def test_nothing_that_a_client_sends_makes_it_raise(
    method: str,
    resource: Resource,
    name: str,
    subresource: str,
    content: str,
    query: dict[str, str],
    body: Any,
    whole: bool,
) -> None:
    client = Client()
    spec = SPEC if resource is ROLLOUTS else {}
    client.create(resource, "a", {"spec": spec})
    if whole and isinstance(body, dict):
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        body = {**body, **kind, "metadata": {"name": "a", **(body.get("metadata") or {})}} if _mapping(body) else body
    path = resource.path("ns", name, subresource if name else "")
    answer = client.server.handle(Request(method, path, query, content, body))
    assert answer.code in (200, 201, 400, 404, 405, 409, 410, 415, 422, 500, 504)
    json.dumps(answer.body)
    if answer.code >= 400 and not isinstance(answer.body, str):
        assert (answer.body["kind"], answer.body["code"]) == ("Status", answer.code)


def _mapping(body: Body) -> bool:
    return isinstance(body.get("metadata") or {}, dict)


@pytest.mark.parametrize("path", ["/", "", "/api", "/apis/apps/v1", "/version", "/api/v1/namespaces/ns/services/a/b/c"])
def test_other_paths_are_not_found(path: str) -> None:
    answer = Client().server.handle(Request("GET", path))
    assert (answer.code, answer.body) == (404, "404 page not found\n")

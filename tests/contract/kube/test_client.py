"""The client's manners towards a server that misbehaves: bounded, honest, never twice."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from e2e.cluster.control_plane import plain_kubeconfig
from modelrollout import __version__
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.failures import NotServed, Rejected
from modelrollout.adapters.kube.resources import HTTPROUTES, ROLLOUTS, SERVICES, Resource
from modelrollout.errors import ApiUnavailable, Bug, Conflict, Denied, Gone, RolloutError, Throttled
from tests.contract.fake_api import FakeApi, Fault

SECRET = "hunter2-from-a-body"


@pytest.fixture
async def client(api: FakeApi, tmp_path: Path) -> AsyncIterator[KubeClient]:
    path = plain_kubeconfig(tmp_path / "kubeconfig", api.url)
    async with await KubeClient.connect(path, timeout=1.0) as connected:
        yield connected


def status(code: int, message: str = "said by the server", **more: object) -> Fault:
    return Fault(code, json.dumps({"kind": "Status", "message": message, "code": code, **more}))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(401), Denied),
        (status(403), Denied),
        (status(404), Gone),
        (Fault(404, "404 page not found"), NotServed),
        (status(409), Conflict),
        (status(422, reason="Invalid", details={}), Conflict),
        (status(422, reason="Invalid", details={"causes": [{"field": "spec.a", "message": "bad"}]}), Rejected),
        (
            status(
                422,
                "httproutes \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                reason="Invalid",
                details={"causes": [{"message": "no"}]},
            ),
            Denied,
        ),
        (status(400), Bug),
        (status(429), Throttled),
        (status(500), ApiUnavailable),
        (Fault(502, "<html>"), ApiUnavailable),
        (Fault(503, ""), ApiUnavailable),
        (Fault(200, "<html>"), ApiUnavailable),
        (Fault(200, "[1]"), ApiUnavailable),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
async def test_answers_become_errors_by_cause_and_are_asked_for_once(
    api: FakeApi, client: KubeClient, fault: Fault, error: type[RolloutError], method: str
) -> None:
    api.fail(method, fault=fault)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "GET": lambda: client.get(ROLLOUTS, "serving", "fraud"),
        "PATCH": lambda: client.merge_patch(ROLLOUTS, "serving", "fraud", {"spec": {}}),
        "POST": lambda: client.create(ROLLOUTS, "serving", {"metadata": {"name": "fraud"}}),
        "DELETE": lambda: client.delete(ROLLOUTS, "serving", "fraud"),
    }
    with pytest.raises(error) as caught:
        await calls[method]()
    assert type(caught.value) is error
    assert len(api.requests) == 1
    assert caught.value.subject.startswith("ModelRollout serving")


async def test_causes_are_kept_for_the_one_who_can_name_the_field(api: FakeApi, client: KubeClient) -> None:
    causes = [{"field": "spec.hostnames[0]", "message": "Invalid value"}]
    api.fail("GET", fault=status(422, details={"causes": causes}))
    with pytest.raises(Rejected) as caught:
        await client.get(ROLLOUTS, "serving", "fraud")
    assert caught.value.causes == (("spec.hostnames[0]", "Invalid value"),)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(429, "", {"Retry-After": "7"}), 7.0),
        (status(429, details={"retryAfterSeconds": 3}), 3.0),
        (Fault(429, "", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), 1.0),
        (Fault(429, "", {"Retry-After": "1e9"}), 1.0),
    ],
)
async def test_patience_is_as_long_as_the_server_asks(
    api: FakeApi, client: KubeClient, fault: Fault, seconds: float
) -> None:
    api.fail("GET", fault=fault)
    with pytest.raises(Throttled) as caught:
        await client.get(ROLLOUTS, "serving", "fraud")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("code", [403, 404, 422, 429, 500, 502])
async def test_bodies_that_are_no_status_are_never_quoted(api: FakeApi, client: KubeClient, code: int) -> None:
    for body in (SECRET, json.dumps({"message": SECRET}), json.dumps([SECRET]), "\xff" + SECRET):
        api.fail("GET", fault=Fault(code, body))
        with pytest.raises(RolloutError) as caught:
            await client.get(ROLLOUTS, "serving", "fraud")
        assert SECRET not in str(caught.value)


async def test_messages_are_cut(api: FakeApi, client: KubeClient) -> None:
    api.fail("GET", fault=status(403, "x" * 5000))
    with pytest.raises(Denied) as caught:
        await client.get(ROLLOUTS, "serving", "fraud")
    assert len(caught.value.message) == 300


async def test_a_server_that_hangs_costs_the_timeout_and_no_more(api: FakeApi, client: KubeClient) -> None:
    api.fail("PATCH", fault=Fault(hang=True))
    begun = time.monotonic()
    with pytest.raises(ApiUnavailable, match=r"no answer within 1 s"):
        await client.merge_patch(ROLLOUTS, "serving", "fraud", {"spec": {}})
    assert time.monotonic() - begun < 4.0
    assert len(api.requests) == 1


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    path = plain_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    async with await KubeClient.connect(path) as client:
        with pytest.raises(ApiUnavailable, match="ModelRollout serving/fraud: not reachable"):
            await client.get(ROLLOUTS, "serving", "fraud")


async def test_a_write_with_a_bad_answer_may_have_happened_and_is_not_repeated(
    api: FakeApi, client: KubeClient
) -> None:
    await client.create(SERVICES, "serving", {"metadata": {"name": "a"}, "spec": {"n": 0}})
    api.fail("PATCH", fault=Fault(504, late=True))
    with pytest.raises(ApiUnavailable):
        await client.merge_patch(SERVICES, "serving", "a", {"spec": {"n": 1}})
    assert (await client.get(SERVICES, "serving", "a"))["spec"]["n"] == 1
    assert [request.method for request in api.requests] == ["POST", "PATCH", "GET"]


async def test_says_who_it_is(api: FakeApi, tmp_path: Path) -> None:
    path = plain_kubeconfig(tmp_path / "kubeconfig", api.url)
    config = json.loads(path.read_text())
    config["users"][0]["user"] = {"token": "t0ken"}
    path.write_text(json.dumps(config))
    async with await KubeClient.connect(path) as client:
        await client.create(SERVICES, "serving", {"metadata": {"name": "a"}})
        await client.apply(SERVICES, "serving", "b", {"metadata": {"name": "b"}}, force=True)
    created, applied = api.requests
    assert created.headers["User-Agent"] == f"modelrollout-operator/{__version__}"
    assert created.headers["Authorization"] == "Bearer t0ken"
    assert created.query == {"fieldManager": "modelrollout-operator"}
    assert applied.query == {"fieldManager": "modelrollout-operator", "force": "true"}
    assert applied.headers["Content-Type"] == "application/apply-patch+yaml"


async def test_without_credentials_it_is_denied(tmp_path: Path) -> None:
    with pytest.raises(Denied, match="no usable cluster credentials"):
        await KubeClient.connect()
    with pytest.raises(Denied, match="no usable cluster credentials"):
        await KubeClient.connect(tmp_path / "none")


async def test_a_list_whose_version_expires_is_begun_anew_once(api: FakeApi, client: KubeClient) -> None:
    for index in range(5):
        await client.create(SERVICES, "serving", {"metadata": {"name": f"s{index}"}})
    await client.create(SERVICES, "other", {"metadata": {"name": "s"}})
    api.fail("GET", fault=status(410))
    listing = await client.list_all(SERVICES, "serving", page=2)
    assert [item["metadata"]["name"] for item in listing.items] == [f"s{index}" for index in range(5)]
    assert {(item["kind"], item["apiVersion"]) for item in listing.items} == {("Service", "v1")}
    assert len((await client.list_all(SERVICES)).items) == 6
    api.fail("GET", fault=status(410))
    api.fail("GET", fault=status(410))
    with pytest.raises(ApiUnavailable, match="forgets the list faster than it can be read"):
        await client.list_all(SERVICES, "serving")


async def test_a_list_that_expires_half_way_says_that_its_first_pages_do_not_count(
    api: FakeApi, client: KubeClient
) -> None:
    for index in range(5):
        await client.create(SERVICES, "serving", {"metadata": {"name": f"s{index}"}})
    seen: list[tuple[bool, list[str]]] = []
    async for page in client.pages(SERVICES, "serving", page=2):
        seen.append((page.first, [item["metadata"]["name"] for item in page.items]))
        if len(seen) == 1:
            api.fail("GET", fault=status(410))
            await client.delete(SERVICES, "serving", "s0")
    assert seen == [(True, ["s0", "s1"]), (True, ["s1", "s2"]), (False, ["s3", "s4"])]
    api.fail("GET", fault=status(500))
    with pytest.raises(ApiUnavailable, match="said by the server"):
        await client.list_all(SERVICES, "serving")
    listing = await client.list_all(SERVICES, "serving", page=1)
    assert [item["metadata"]["name"] for item in listing.items] == ["s1", "s2", "s3", "s4"]


@pytest.mark.parametrize(
    ("resource", "place", "path"),
    [
        (SERVICES, ("a", "b", ""), "/api/v1/namespaces/a/services/b"),
        (HTTPROUTES, ("", "", ""), "/apis/gateway.networking.k8s.io/v1/httproutes"),
        (ROLLOUTS, ("a", "b", "status"), "/apis/modelrollout.dev/v1alpha1/namespaces/a/modelrollouts/b/status"),
        (SERVICES, ("a", "../secrets/x", ""), "/api/v1/namespaces/a/services/..%2Fsecrets%2Fx"),
    ],
)
def test_paths(resource: Resource, place: tuple[str, str, str], path: str) -> None:
    assert resource.path(*place) == path

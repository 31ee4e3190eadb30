"""kubectl as the way to the cluster: what it is called with, how its complaints are told, how a watch goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelrollout.cli.complaints import Cause, Complaint, complaint
from modelrollout.cli.kubectl import Ended, Kubectl
from modelrollout.cli.watching import Lost, Seen, follow
from tests.unit.cli.fake import FakeKubectl, events_text

IN = " in namespace serving"
SAID = {
    'Error from server (NotFound): modelrollouts.modelrollout.dev "fraud" not found': (
        Cause.NOT_FOUND,
        'ModelRollout "fraud" not found in namespace serving; look for it with: kubectl modelrollout list -A',
    ),
    'Error from server (NotFound): namespaces "sevring" not found': (
        Cause.NOT_FOUND,
        'namespace "sevring" not found; name another with -n',
    ),
    'Error from server (Forbidden): modelrollouts.modelrollout.dev "fraud" is forbidden: User "jane" cannot get'
    ' resource "modelrollouts" in API group "modelrollout.dev" in the namespace "serving"': (
        Cause.FORBIDDEN,
        'forbidden: User "jane" cannot get resource "modelrollouts" in API group "modelrollout.dev" in the namespace '
        '"serving"; ask for that right, `view` to read or `act` to order',
    ),
    'error: the server doesn\'t have a resource type "modelrollouts"': (
        Cause.NO_CRD,
        "this cluster has no ModelRollouts",
    ),
    'error: resource mapping not found for name: "" namespace: "" from "STDIN": no matches for kind "RolloutAction" in '
    'version "modelrollout.dev/v1alpha1"\nensure CRDs are installed first': (Cause.NO_CRD, "install the CRDs"),
    "E1122 20:01:02.345678   12 memcache.go:265] couldn't get current server API group list: Get x: dial tcp 1:"
    "\nThe connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?": (
        Cause.UNREACHABLE,
        "no cluster can be reached (127.0.0.1:1 refuses connections); choose one with --context or KUBECONFIG",
    ),
    "Unable to connect to the server: dial tcp: lookup nowhere.example: no such host": (
        Cause.UNREACHABLE,
        "no cluster can be reached (dial tcp: lookup nowhere.example: no such host)",
    ),
    "Unable to connect to the server: context deadline exceeded": (
        Cause.TIMEOUT,
        "has not answered in time; try again",
    ),
    'error: context "prd" does not exist': (
        Cause.OTHER,
        'context "prd" does not exist; see: kubectl config get-contexts',
    ),
    "error: stat /nowhere/config: no such file or directory": (Cause.OTHER, "kubeconfig /nowhere/config can't be read"),
    "error: You must be logged in to the server (Unauthorized)": (Cause.OTHER, "the cluster does not know you: log in"),
    "Error from server (TooManyRequests): the server has received too many requests": (Cause.TIMEOUT, "try again"),
    "error: something\x1b[31m new\nthat nobody knows": (Cause.OTHER, "something\\x1b[31m new that nobody knows"),
}


@pytest.mark.parametrize(("said", "told"), list(SAID.items()))
def test_complaints_are_one_sentence_with_what_to_do(said: str, told: tuple[Cause, str]) -> None:
    cause, part = told
    found = complaint(said, IN)
    assert (found.cause, "\n" in str(found)) == (cause, False)
    assert part in str(found)


def test_what_the_user_chose_is_handed_through(kubectl: FakeKubectl) -> None:
    kubectl.finds({"kind": "ModelRollout"})
    Kubectl("serving", "prod", "/c").read("modelrollouts.modelrollout.dev", "fraud")
    assert kubectl.calls == [
        "--context=prod --namespace=serving --kubeconfig=/c --request-timeout=15s get modelrollouts.modelrollout.dev "
        "fraud --output=json"
    ]


def test_without_a_choice_the_kubeconfig_decides(kubectl: FakeKubectl) -> None:
    kubectl.finds({"kind": "List"})
    Kubectl(everywhere=True).read("modelrollouts.modelrollout.dev")
    assert kubectl.calls == ["--request-timeout=15s get modelrollouts.modelrollout.dev --all-namespaces --output=json"]


def test_no_kubectl_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Complaint, match="kubectl is not on PATH; install it"):
        Kubectl().call("get")
    with pytest.raises(Complaint, match="kubectl is not on PATH"), Kubectl().watch("x"):
        pass


def test_a_kubectl_that_hangs_is_ended(kubectl: FakeKubectl) -> None:
    kubectl.answers("", hangs=True)
    with pytest.raises(Complaint, match=r"has not answered within 0\.2 s") as raised:
        Kubectl().call("get", limit=0.2)
    assert raised.value.cause is Cause.TIMEOUT


@pytest.mark.parametrize("printed", ["", "hello", "[1]", "[" * 100_000])
def test_what_is_no_object_is_told(kubectl: FakeKubectl, printed: str) -> None:
    kubectl.answers(printed)
    with pytest.raises(Complaint, match="no JSON object"):
        Kubectl().read("x")


def obj(version: int) -> dict[str, object]:
    return {"metadata": {"resourceVersion": str(version)}, "text": "}\n{"}


@pytest.mark.parametrize("indent", [None, 4])
def test_a_watch_tells_one_event_after_the_other(kubectl: FakeKubectl, indent: int | None) -> None:
    kubectl.answers(events_text(("ADDED", obj(1)), ("MODIFIED", obj(2)), indent=indent))
    with Kubectl().watch("x", "y") as stream:
        assert stream.next(5) == {"type": "ADDED", "object": obj(1)}
        assert stream.next(5) == {"type": "MODIFIED", "object": obj(2)}
        with pytest.raises(Ended):
            stream.next(5)
    assert kubectl.calls == ["get x y --watch --output-watch-events --output=json"]


def test_a_watch_without_news_says_so_and_is_ended_with_its_block(kubectl: FakeKubectl) -> None:
    kubectl.sees(("ADDED", obj(1)))
    with Kubectl().watch("x", "y") as stream:
        assert stream.next(5) is not None
        assert stream.next(0.01) is None
    assert stream._process.poll() is not None


class Time:
    """A clock that only moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_watch_that_the_server_ends_begins_anew_with_the_object_as_it_is(kubectl: FakeKubectl) -> None:
    kubectl.sees(("ADDED", obj(1)), hangs=False)
    kubectl.sees(("ADDED", obj(7)))
    time = Time()
    seen = follow(Kubectl(), "x", "y", clock=time, sleep=time.sleep)
    assert [next(seen), next(seen), next(seen)] == [Seen(obj(1)), None, Seen(obj(7))]
    assert time.now == 1.0, "a watch that ends at once is not asked for again at once"
    seen.close()


def test_a_cluster_that_is_away_is_asked_ever_more_rarely(kubectl: FakeKubectl) -> None:
    kubectl.sees(("ADDED", obj(1)), hangs=False)
    kubectl.answers("", said="The connection to the server x:1 was refused", code=1)
    time = Time()
    seen = follow(Kubectl(), "x", "y", clock=time, sleep=time.sleep)
    assert next(seen) == Seen(obj(1))
    losses: list[float] = []
    while len(losses) < 7:
        if isinstance(next(seen), Lost):
            losses.append(time.now)
    assert [b - a for a, b in zip([0.0, *losses], losses, strict=False)] == [1, 2, 4, 8, 16, 30, 30]
    seen.close()


@pytest.mark.parametrize("first", [True, False])
def test_what_does_not_mend_itself_ends_a_watch(kubectl: FakeKubectl, first: bool) -> None:
    if not first:
        kubectl.sees(("ADDED", obj(1)), hangs=False)
    kubectl.answers("", said='Error from server (NotFound): modelrollouts.modelrollout.dev "y" not found', code=1)
    time = Time()
    with pytest.raises(Complaint, match="not found"):
        list(follow(Kubectl(), "x", "y", clock=time, sleep=time.sleep))


def test_a_cluster_that_is_away_from_the_start_is_told_at_once(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said="The connection to the server x:1 was refused", code=1)
    with pytest.raises(Complaint, match="no cluster can be reached"):
        next(follow(Kubectl(), "x", "y"))


def test_a_deleted_object_is_told(kubectl: FakeKubectl) -> None:
    kubectl.sees(("ADDED", obj(1)), ("BOOKMARK", obj(1)), ("DELETED", obj(2)))
    seen = follow(Kubectl(), "x", "y")
    assert [next(seen), next(seen)] == [Seen(obj(1)), Seen(obj(2), gone=True)]
    seen.close()

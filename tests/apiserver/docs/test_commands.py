"""Every command of the documentation does what its page says, with kubectl on a real API server.

A rollout `fraud` was taken back by a real operator, with a real Prometheus; then people use their commands on it. The
operator has the rights that its page grants and no others.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.apiserver.docs.conftest import LISTED, Place, Reader
from tests.apiserver.docs.rights import answers
from tests.apiserver.shell.cluster import wait_until

pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(240)]

WATCH = "kubectl -n serving get mr fraud -w"
SENTENCE = r"availability: \d+ of the last \d+ candidate requests were bad \(limit: half of at least 20\)"
ROW = r"^fraud +RolledBack +0/3 +0% +FAIL +\d+x "
READS: dict[str, tuple[str, ...]] = {
    "kubectl -n serving get mr": (r"^NAME +PHASE +STEP +WEIGHT +VERDICT +BURN +AGE", ROW),
    "kubectl -n serving get mr -o wide": (
        r"BURN +LEGACY +CANDIDATE +REASON +NEXT +AGE",
        ROW + r" *fraud-v7 +fraud-v8 +HardGuard ",
    ),
    WATCH: (r"^NAME +PHASE", ROW),
    "kubectl -n serving get rolloutactions -o wide": (
        r"RESULT +REASON +MESSAGE",
        r"^fraud-approve-\w+ +fraud +Approve +Refused +.*nothing waits for approval",
    ),
    "{range .status.slis[*]}": (rf"\Aavailability\tFAIL\t{SENTENCE}; candidate .* % of \d+ bad, legacy 0 % of \d+",),
    "{range .status.decisions[*]}": (
        r"\A\d{4}-\d\d-\d\dT.*Z\tRaise\tstep 1/3: candidate 0 % -> 5 %",
        rf"^\S+Z\tRollback\t{SENTENCE}",
    ),
    "{.status.incident}": (r'"reason":"HardGuard"', r'"weight":"5"', r'"openedAt":"', r'"closedAt":"'),
    "{.metadata.finalizers}": (rf'\A\["modelrollout.dev/route"\] HardGuard {SENTENCE}',),
    "jsonpath='{.status.message}": (rf"\A{SENTENCE}",),
    "apply --dry-run=server": (r"^modelrollout.modelrollout.dev/fraud configured \(server dry run\)$",),
    "describe mr fraud": (
        r"^Kind: +ModelRollout$",
        r"^ +Phase: +RolledBack$",
        rf"^ +Warning +RollbackStarted .*HardGuard at 5 %: {SENTENCE}",
    ),
    "get events": (
        rf"Normal +StepStarted +modelrollout/fraud +step 1/3(?s:.*)RollbackStarted +modelrollout/fraud +.*{SENTENCE}"
        rf"|RollbackStarted +modelrollout/fraud +.*{SENTENCE}(?s:.*)Normal +StepStarted +modelrollout/fraud +step 1/3",
        r"Normal +RollbackCompleted +modelrollout/fraud +.*the route shows 0",
    ),
    "get metricsources": (r"^NAME +ADDRESS +AGE$", r"^default +http://127\.0\.0\.1:\d+ "),
    "{range .spec.rules[*]}": (r"\Afraud-v7 fraud-v8 100 0\n\Z",),
    "get lease": (r"\A\S+ \d{4}-\d\d-\d\dT\d\d:\d\d:\S+Z\n\Z",),
    "get deployment fraud-v7": (r"^fraud-v7 +1/1 +1 +1 ",),
    "get endpointslices": (r"^fraud-v7 +IPv4 +8080 +10\.0\.0\.1 ",),
    "modelrollout list": (
        r"^NAMESPACE +NAME +PHASE +STEP +WEIGHT +VERDICT +BURN +REASON +CANDIDATE +AGE$",
        r"^serving +fraud +RolledBack +0/3 +0% +FAIL +\d+x +HardGuard +fraud-v8 ",
    ),
    "modelrollout get": (r"^Rollout +serving/fraud$", r"^Phase +RolledBack \(HardGuard\), step 0/3$"),
    "modelrollout explain": (
        r"^  - Taken back: fraud-v7 has all traffic\.",
        r"^    kubectl modelrollout retry fraud -n serving$",
    ),
    "modelrollout history": (r"\AREVISIONS$", r" ago +[0-9a-f]{10} +took \S+ +RolledBack +availability"),
    "kubectl modelrollout get fraud -n serving -o jsonpath='{.status.revision}'": (r"\A[0-9a-f]{10}\Z",),
    "modelrollout version": (r"^client +\S+$", r"^operator +- \(no Deployment of the chart\)$", r"^CRDs +- "),
    "modelrollout report": (r"^# Revision [0-9a-f]{10} of serving/fraud was rolled back", SENTENCE),
    "modelrollout diff": (
        r"^ +legacy +[0-9a-f]{10} \(present\)$",
        r"^  deployment +fraud-v7 +fraud-v8$",
        r"^  course +- +Raise 5 %, Rollback 5 %$",
        r"^  image m +m:v7 +m:v8$",
    ),
    "modelrollout doctor -n": (
        r"^ok +leader: \S+ holds Lease",
        r"^ok +seen: ",
        r"^ok +gateway: Gateway infra/public is programmed and takes the routes of\s+serving/fraud$",
        r"^\d+ ok, ",
    ),
    "modelrollout doctor fraud": (r"^ok +crd fields: ", r"^warning +conditions: Stalled is True: availability: "),
    "--show-managed-fields": (r"^    manager: modelrollout-operator$", r"^      f:spec:$", r"^      weight: 100$"),
}
"""What a read prints, by the part of the command that tells it from the others (or the whole command)."""


def expected(command: str) -> tuple[str, ...]:
    """The patterns of a command; fails unless the table has exactly one entry for it."""
    if command in READS:
        return READS[command]
    (found,) = (patterns for part, patterns in READS.items() if part in command and not part.startswith("kubectl "))
    return found


def check(command: str, printed: str) -> None:
    for pattern in expected(command):
        assert re.search(pattern, printed, re.MULTILINE), f"{command}\nprinted, without {pattern}:\n{printed}"


@pytest.mark.parametrize("command", [command for command in LISTED["read"] if command != WATCH])
def test_reads(place: Place, reader: Reader, command: str) -> None:
    check(command, reader.types(command))


def test_a_watch_shows_the_rollout_and_goes_on(place: Place, reader: Reader) -> None:
    assert WATCH in LISTED["read"]
    with reader.begins(WATCH) as started:
        assert started.stdout is not None
        first = started.stdout.readline() + started.stdout.readline()
        assert started.poll() is None
        started.terminate()
    check(WATCH, first)


def test_the_table_has_no_entry_too_many(place: Place) -> None:
    used = {expected(command) for command in LISTED["read"]}
    assert used == set(READS.values())


SPLIT = json.dumps(
    [
        {"op": "replace", "path": f"/spec/rules/0/backendRefs/{index}/weight", "value": weight}
        for index, weight in enumerate((60, 40))
    ]
)
"""A route in mid-rollout: 60 to 40."""


def write(part: str) -> str:
    """The one write command with this part."""
    (found,) = (command for command in LISTED["write"] if part in command)
    return found


def test_the_way_back_by_hand_stays_when_the_operator_returns(place: Place, reader: Reader) -> None:
    """The runbook "operator down and candidate bad", as its page tells it."""
    stage, way_back = place.stage, write("patch httproute fraud-modelrollout --type=json")
    place.exporter.traffic["v8"].turn(0.0)
    reader.types(write("retry.yaml"))
    wait_until(lambda: stage.weights() != (100, 0), limit=30, why="the retried revision starts")
    assert place.operator.end() == 0
    left = stage.weights()
    assert left[1] > 0

    complaint = reader.refused(way_back.replace('"fraud-v8"', '"fraud-v9"'))
    assert "The request is invalid" in complaint
    assert stage.weights() == left, "with other names it must change nothing"
    reader.types(way_back)
    assert stage.weights() == (100, 0)
    lease = reader.types(next(command for command in LISTED["read"] if "get lease" in command))
    assert re.match(r" \d{4}-", lease), "nobody holds it"
    reader.types(write("abort.yaml"))

    place.start()
    seen = set()

    def over() -> bool:
        seen.add(stage.weights())
        return stage.phase() == "RolledBack"

    wait_until(over, limit=30, why="the abort is carried out")
    assert seen == {(100, 0)}
    assert stage.get("modelrollout", "fraud")["status"]["incident"]["reason"] == "Aborted"


class Writes:
    """The write commands, typed in the order of the list; `next` types the next one and says what it printed."""

    def __init__(self, place: Place, reader: Reader) -> None:
        self.place, self.reader = place, reader
        self.left = list(LISTED["write"])

    def next(self, part: str, printed: str) -> str:
        command = self.left.pop(0)
        assert part in command, f"the next command of the list is {command}"
        found = self.reader.types(command)
        assert re.search(printed, found, re.MULTILINE), f"{command}\nprinted:\n{found}"
        return found

    def act(self, verb: str, result: str) -> None:
        """Type the command that creates this action and wait for what the operator answers."""
        found = self.next(f"create -f examples/actions/{verb}.yaml", rf"\Arolloutaction\S+/fraud-{verb}-\w+ created$")
        name = found.split()[0].partition("/")[2]

        def status() -> dict[str, Any]:
            return dict(self.place.stage.get("rolloutaction", name).get("status") or {})

        wait_until(lambda: status().get("result") is not None, limit=20, why=f"{verb}: {status()}")
        assert status()["result"] == result, status()

    def shows(self, phase: str) -> None:
        wait_until(lambda: self.place.stage.phase() == phase, limit=30, why=f"{phase}, not {self.place.stage.phase()}")


def test_writes(place: Place, reader: Reader) -> None:
    stage, writes = place.stage, Writes(place, reader)
    place.exporter.traffic["v8"].turn(0.0)

    writes.next("apply -f examples/smallest.yaml", r"^modelrollout.modelrollout.dev/fraud configured$")
    writes.next("apply -f examples/sli-profile.yaml", r"^sliprofile.modelrollout.dev/acme-scorer created$")
    writes.next("wait --for=condition=Accepted", r"^sliprofile.modelrollout.dev/acme-scorer condition met$")
    writes.next("get sliprofiles", r"^acme-scorer +errors, latency +True ")
    writes.act("retry", "Applied")
    wait_until(lambda: stage.weights() == (95, 5), limit=30, why="a retried revision starts at the first step")
    writes.act("pause", "Applied")
    writes.shows("Paused")
    writes.act("resume", "Applied")
    writes.shows("Progressing")
    writes.act("approve", "Refused")
    writes.act("promote", "Applied")
    writes.next("wait --for=condition=Promoted", r"^modelrollout.modelrollout.dev/fraud condition met$")
    assert stage.weights() == (0, 100)
    writes.act("abort", "Applied")
    writes.next("wait --for=condition=Promoted=False", r"^modelrollout.modelrollout.dev/fraud condition met$")
    writes.next("wait --for=condition=RolledBack", r"^modelrollout.modelrollout.dev/fraud condition met$")
    assert stage.weights() == (100, 0)

    # The runbooks: nobody leads.
    assert place.operator.end() == 0
    writes.next("scale deployment fraud-v7 --replicas=2", r"^deployment.apps/fraud-v7 scaled$")
    assert stage.get("deployment", "fraud-v7")["spec"]["replicas"] == 2
    stage.server.kubectl("patch", "httproute", "fraud-modelrollout", "-n", stage.namespace, "--type=json", "-p", SPLIT)
    writes.next("patch httproute fraud-modelrollout --type=json", r"^httproute\S+/fraud-modelrollout patched$")
    assert stage.weights() == (100, 0)
    assert stage.get("httproute", "fraud-modelrollout")["metadata"]["ownerReferences"]
    writes.next('{"metadata":{"ownerReferences":null}}', r"^httproute\S+/fraud-modelrollout patched$")
    assert "ownerReferences" not in stage.get("httproute", "fraud-modelrollout")["metadata"]
    writes.next('{"metadata":{"finalizers":null}}', r"^modelrollout\S+/fraud patched$")
    writes.next("delete mr fraud", r'"fraud" deleted')
    assert not stage.get("modelrollout", "fraud")
    writes.next("delete httproute fraud-modelrollout", r'"fraud-modelrollout" deleted')
    reader.types(LISTED["write"][0])
    writes.next("delete modelrollouts --all --all-namespaces", r'"fraud" deleted')
    assert not stage.get("modelrollout", "fraud")
    assert writes.left == []


def test_the_rights_of_the_page_were_enough(place: Place) -> None:
    """Last: after everything that the operator did in this module."""
    asked = list(answers(place.stage.server))
    assert {"patch modelrollout.dev/modelrollouts", "patch gateway.networking.k8s.io/httproutes", "get /secrets"} <= {
        what for what, _ in asked
    }
    assert [what for what, code in asked if code == 403] == []

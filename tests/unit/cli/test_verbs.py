"""Orders: which RolloutAction is created, and what is said of the operator's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.api import v1alpha1
from modelrollout.api.reading import parse
from modelrollout.cli.main import app
from modelrollout.cli.verbs import action, answer
from modelrollout.cli.watching import Seen
from modelrollout.core.model import ActionVerb
from tests.unit.cli.fake import FakeKubectl

VERBS = [verb.value for verb in ActionVerb]
FORBIDDEN = (
    'Error from server (Forbidden): modelrollouts.modelrollout.dev "fraud" is forbidden: User "jane" cannot get '
    'resource "modelrollouts" in API group "modelrollout.dev" in the namespace "serving"\n'
)


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def made(**status: str) -> dict[str, Any]:
    obj = {"kind": "RolloutAction", "metadata": {"name": "fraud-abort-x7k2p"}}
    return {**obj, "status": status} if status else obj


@pytest.mark.parametrize("verb", VERBS)
def test_every_action_of_the_api_has_a_command_that_creates_it(kubectl: FakeKubectl, verb: str) -> None:
    kubectl.answers("modelrollout.modelrollout.dev/fraud\n")
    kubectl.finds(made())
    code, out, err = run(verb.lower(), "fraud", "-n", "serving", "--revision", "5f3c9a", "--reason", "tickets")
    assert (code, err) == (0, "")
    assert out == f"{verb} of fraud ordered: rolloutaction/fraud-abort-x7k2p\n"
    assert kubectl.input == {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "RolloutAction",
        "metadata": {"generateName": f"fraud-{verb.lower()}-", "namespace": "serving"},
        "spec": {"rollout": "fraud", "action": verb, "revision": "5f3c9a", "reason": "tickets"},
    }
    assert [call.partition("--request-timeout=15s ")[2] for call in kubectl.calls] == [
        "get modelrollouts.modelrollout.dev fraud --output=name",
        "create --filename=- --output=json",
    ]


def test_what_is_not_said_is_left_out() -> None:
    obj = action("Abort", "fraud", None, None, None)
    assert obj["spec"] == {"rollout": "fraud", "action": "Abort"}
    assert obj["metadata"] == {"generateName": "fraud-abort-"}
    parsed = parse(v1alpha1.ActionSpec, obj, strict=True)
    assert isinstance(parsed, v1alpha1.ActionSpec)


def test_a_long_name_keeps_the_verb_and_its_dash() -> None:
    base = action("Approve", "a" * 48 + "." + "b" * 200, None, None, None)["metadata"]["generateName"]
    assert base == "a" * 48 + "-approve-"
    assert len(base) <= 58, "the API server cuts longer ones"


def test_no_order_for_a_rollout_that_is_not_there(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said='Error from server (NotFound): modelrollouts.modelrollout.dev "fraud" not found', code=1)
    code, out, err = run("abort", "fraud")
    assert (code, out) == (1, "")
    assert 'ModelRollout "fraud" not found' in err
    assert len(kubectl.calls) == 1


def test_who_may_order_but_not_read_is_not_held_up(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said=FORBIDDEN, code=1)
    kubectl.finds(made())
    assert run("abort", "fraud")[0] == 0
    assert kubectl.input["spec"]["action"] == "Abort"


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        ({"result": "Applied", "message": "goes back"}, 0, "Abort of fraud applied: goes back"),
        ({"result": "Refused", "message": "nothing to do"}, 1, "error: Abort of fraud was refused: nothing to do"),
    ],
)
def test_waiting_for_the_answer(kubectl: FakeKubectl, status: dict[str, str], code: int, told: str) -> None:
    kubectl.answers("name\n")
    kubectl.finds(made())
    kubectl.sees(("ADDED", made()), ("MODIFIED", made(**status)))
    found, out, err = run("abort", "fraud", "--wait")
    assert (found, (out or err).rstrip("\n")) == (code, told)
    assert kubectl.calls[2].startswith("get rolloutactions.modelrollout.dev fraud-abort-x7k2p --watch")


def test_no_answer_in_time() -> None:
    times = iter(range(100))
    _, code, told = answer([Seen(made()), None, None], "Abort", "fraud", "x", limit=2, clock=lambda: next(times))
    assert code == 4
    assert told.startswith("Abort of fraud: no answer within 2 s; is an operator running? rolloutaction/x stays")


def test_an_order_that_is_deleted_has_no_answer() -> None:
    _, code, told = answer([Seen(made(), gone=True)], "Abort", "fraud", "x", limit=2)
    assert (code, told) == (1, "Abort of fraud: rolloutaction/x was deleted before an answer came")


def test_a_dry_run_of_the_client_asks_nobody(kubectl: FakeKubectl) -> None:
    code, out, err = run("abort", "fraud", "--dry-run", "client")
    assert (code, err, kubectl.calls) == (0, "", [])
    assert yaml.safe_load(out) == action("Abort", "fraud", None, None, None)
    assert json.loads(run("abort", "fraud", "--dry-run", "client", "-o", "json")[1]) == yaml.safe_load(out)


def test_a_dry_run_of_the_server_stores_nothing(kubectl: FakeKubectl) -> None:
    kubectl.answers("name\n")
    kubectl.finds(made())
    assert run("abort", "fraud", "--dry-run", "server") == (
        0,
        "Abort of fraud would be accepted (server dry run)\n",
        "",
    )
    assert kubectl.calls[1].endswith("create --filename=- --output=json --dry-run=server")


def test_the_order_for_programs(kubectl: FakeKubectl) -> None:
    kubectl.answers("name\n")
    kubectl.finds(made())
    assert json.loads(run("abort", "fraud", "-o", "json")[1]) == made()
    assert run("abort", "fraud", "-o", "name")[1] == "rolloutaction.modelrollout.dev/fraud-abort-x7k2p\n"
    kubectl.sees(("ADDED", made(result="Applied", message="m")))


@pytest.mark.parametrize(
    "arguments", [("--wait", "--dry-run", "server"), ("--timeout", "soon"), ("--dry-run", "maybe")]
)
def test_usage(kubectl: FakeKubectl, arguments: tuple[str, ...]) -> None:
    code, out, _ = run("abort", "fraud", *arguments)
    assert (code, out, kubectl.calls) == (2, "", [])


def test_promote_takes_all_steps_with_full_and_without(kubectl: FakeKubectl) -> None:
    plain = run("promote", "fraud", "--dry-run", "client")
    assert run("promote", "fraud", "--full", "--dry-run", "client") == plain
    assert "action: Promote\n" in plain[1]

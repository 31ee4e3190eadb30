"""`list`, `get`, `status`, `history`, `explain`: what is asked of kubectl, printed and returned."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.cli.main import app
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.scenes import SCENES, scene

HEAVY = ("kubernetes", "kopf", "numpy", "scipy", "pydantic", "aiohttp", "requests", "yaml")
NOT_FOUND = 'Error from server (NotFound): modelrollouts.modelrollout.dev "fraud" not found\n'


def run(*arguments: str, columns: int = 120) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})
    return done.exit_code, done.stdout, done.stderr


def many() -> dict[str, object]:
    objects = [scene(name)[0] for name in SCENES]
    items = [{**o, "metadata": {**o["metadata"], "name": n}} for n, o in zip(SCENES, objects, strict=True)]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def test_a_list(kubectl: FakeKubectl) -> None:
    kubectl.finds(many())
    code, out, err = run("list", "-A")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == [
        *("NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "BURN", "REASON", "CANDIDATE", "AGE")
    ]
    assert [line.split()[1] for line in out.splitlines()[1:]] == sorted(SCENES)
    assert kubectl.calls == ["--request-timeout=15s get --raw /apis/modelrollout.dev/v1alpha1/modelrollouts"]


def test_a_list_of_one_namespace_does_not_name_it(kubectl: FakeKubectl) -> None:
    kubectl.finds(many())
    assert run("list", "-n", "serving")[1].splitlines()[0].startswith("NAME  ")
    assert kubectl.calls[0].endswith("--raw /apis/modelrollout.dev/v1alpha1/namespaces/serving/modelrollouts")


def test_a_list_of_the_usual_namespace(kubectl: FakeKubectl) -> None:
    kubectl.answers("mine")
    kubectl.finds(many())
    assert run("list")[0] == 0
    assert kubectl.calls[0].endswith("config view --minify --output=jsonpath={..namespace}")
    assert kubectl.calls[1].endswith("/namespaces/mine/modelrollouts")


def test_a_list_where_there_is_no_kubeconfig_leaves_the_namespace_to_kubectl(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said="error: current-context must exist in order to minify", code=1)
    kubectl.finds(many())
    assert run("list")[0] == 0
    assert kubectl.calls[1].endswith("get modelrollouts.modelrollout.dev --output=json")


def test_a_namespace_is_no_path(kubectl: FakeKubectl) -> None:
    kubectl.finds(many())
    run("list", "-n", "../../secrets?x=")
    assert kubectl.calls[0].endswith("/namespaces/..%2F..%2Fsecrets%3Fx%3D/modelrollouts")


def test_an_empty_list_says_where_there_is_nothing(kubectl: FakeKubectl) -> None:
    kubectl.finds({"kind": "List", "items": []})
    assert run("list", "-n", "serving") == (0, "", "no ModelRollouts in namespace serving\n")
    assert run("list", "-n", "serving", "-o", "json")[1] == '{\n  "kind": "List",\n  "items": []\n}\n'


@pytest.mark.parametrize("command", ["list", "get", "history"])
def test_outputs_for_programs(kubectl: FakeKubectl, command: str) -> None:
    obj = many() if command == "list" else scene("1-errors")[0]
    kubectl.finds(obj)
    arguments = [command, "-A" if command == "list" else "fraud"]
    shown = json.loads(run(*arguments, "-o", "json")[1])
    assert yaml.safe_load(run(*arguments, "-o", "yaml")[1]) == shown
    names = run(*arguments, "-o", "name")[1].splitlines()
    if command == "history":
        assert shown["decisions"] == obj["status"]["decisions"]  # type: ignore[index]  # an object of the API
        assert [entry["outcome"] for entry in shown["history"]] == ["RolledBack"]
    else:
        assert shown == obj
    expected = [f"modelrollout.modelrollout.dev/{name}" for name in SCENES]
    assert names == (expected if command == "list" else ["modelrollout.modelrollout.dev/fraud"])


@pytest.mark.parametrize("command", ["get", "status", "history", "explain", "wait"])
def test_what_is_not_there_is_one_line_on_stderr(kubectl: FakeKubectl, command: str) -> None:
    kubectl.answers("", said=NOT_FOUND, code=1)
    told = (
        'error: ModelRollout "fraud" not found in namespace serving; look for it with: kubectl modelrollout list -A\n'
    )
    assert run(command, "fraud", "-n", "serving") == (1, "", told)


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("promoted", 0, "fraud: Promoted, step 4/4, 100%: "),
        ("7-shared", 0, "fraud: Paused, step 2/4, 25%: errors: burns over 12x"),
        ("1-errors", 3, "fraud: RolledBack, step 0/4, 0%: errors: burns over 12x"),
    ],
)
def test_status_has_its_answer_in_the_exit_code(kubectl: FakeKubectl, name: str, code: int, told: str) -> None:
    kubectl.finds(scene(name)[0])
    found, out, err = run("status", "fraud")
    assert (found, err) == (code, "")
    assert out.startswith(told)
    assert out.count("\n") == 1


def test_status_of_what_is_invalid(kubectl: FakeKubectl) -> None:
    obj = scene("promoted")[0]
    kubectl.finds({**obj, "status": {**obj["status"], "phase": "Invalid"}})
    assert run("status", "fraud")[0] == 5


def test_get_history_and_explain_print_their_pages(kubectl: FakeKubectl) -> None:
    kubectl.finds(scene("1-errors")[0])
    assert run("get", "fraud")[1].startswith("Rollout    serving/fraud\nPhase      RolledBack (BudgetBurn), step 0/4\n")
    assert run("history", "fraud")[1].startswith("REVISIONS\n")
    assert run("explain", "fraud")[1].startswith("WHERE IT STANDS\n  - Taken back: fraud-v7 has all traffic.")
    assert json.loads(run("explain", "fraud", "-o", "json")[1])["what you can do"] == [
        "try the same revision again: kubectl modelrollout retry fraud -n serving",
        "keep what has happened, as a file with charts: kubectl modelrollout report fraud -n serving --html fraud.html",
    ]
    assert run("explain", "fraud", "-o", "name")[0] == 2


def test_a_watch_into_a_pipe_is_a_line_per_change(kubectl: FakeKubectl) -> None:
    one, other = scene("7-shared")[0], scene("promoted")[0]
    kubectl.sees(("ADDED", one), ("MODIFIED", one), ("MODIFIED", other), ("DELETED", other))
    code, out, _ = run("get", "fraud", "-w")
    assert code == 0
    assert [line.split(":")[1].split(",")[0].strip() for line in out.splitlines()] == ["Paused", "Promoted", "deleted"]
    assert run("get", "fraud", "-w", "-o", "json")[0] == 2


def test_a_watch_on_a_terminal_is_drawn_over_itself(kubectl: FakeKubectl) -> None:
    one, other = scene("7-shared")[0], scene("promoted")[0]
    kubectl.sees(("ADDED", one), ("MODIFIED", other), ("DELETED", other))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "LINES": "80", "TERM": "xterm"}
    command = [sys.executable, "-m", "modelrollout", "get", "fraud", "-w"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # so Linux tells that the other end is closed
                break
            if not data:
                break
            drawn += data
        assert process.wait(30) == 0
    os.close(ours)
    first, _, rest = drawn.partition(b"Promoted")
    assert b"SharedDegradation" in first
    assert b"\x1b[1A" in first, "the second page goes over the first one"
    assert b"deleted" in rest


@pytest.mark.parametrize("command", [["list", "-A"], ["get", "fraud"], ["status", "fraud"], ["history", "fraud"]])
def test_reads_load_nothing_heavy(kubectl: FakeKubectl, command: list[str]) -> None:
    kubectl.finds(many() if "-A" in command else scene("promoted")[0])
    code = f"""
import json, sys
sys.argv = ["modelrollout", *{command!r}]
from modelrollout.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stderr)) & set(HEAVY) == set()


def test_output_that_the_terminal_cannot_show_is_replaced(kubectl: FakeKubectl, tmp_path: Path) -> None:
    obj = scene("promoted")[0]
    kubectl.finds({**obj, "status": {**obj["status"], "message": "größer…"}})
    command = [sys.executable, "-m", "modelrollout", "status", "fraud"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.rstrip().endswith("gr??er?")


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("get", "fraud", "-n", "serving"), "--namespace=serving --request-timeout=15s get {} fraud --output={}"),
        (("list", "-A"), "--request-timeout=15s get {} --all-namespaces --output={}"),
    ],
)
def test_a_jsonpath_is_kubectls(kubectl: FakeKubectl, arguments: tuple[str, ...], asked: str) -> None:
    kubectl.answers("fraud-v8")
    template = "jsonpath={.spec.candidate.deployment}"
    assert run(*arguments, "-o", template) == (0, "fraud-v8", "")
    assert kubectl.calls == [asked.format("modelrollouts.modelrollout.dev", template)]


@pytest.mark.parametrize("output", ["jsonpath", "nope", "custom-columns=A:.a"])
def test_an_output_that_there_is_not(kubectl: FakeKubectl, output: str) -> None:
    told = f"error: -o {output}: must be text, json, yaml, name or jsonpath=TEMPLATE\n"
    assert run("get", "fraud", "-o", output) == (2, "", told)
    assert run("list", "-o", output) == (2, "", told)
    assert kubectl.calls == []


def test_a_template_that_kubectl_can_not_read_is_one_line(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said="error: error parsing jsonpath {.a, unclosed action\n", code=1)
    told = "error: error parsing jsonpath {.a, unclosed action\n"
    assert run("get", "fraud", "-o", "jsonpath={.a") == (1, "", told)
    assert run("list", "-o", "jsonpath={.a") == (1, "", told)

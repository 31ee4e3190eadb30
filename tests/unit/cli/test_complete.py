"""What the shell proposes: commands, flags, their values, and rollouts, which are asked for with little patience."""

from __future__ import annotations

import pytest

from modelrollout.cli import complete
from modelrollout.cli.complete import FILES, NAMED, NO_FILES, proposals
from modelrollout.cli.group import load
from modelrollout.cli.main import Commands
from tests.unit.cli.fake import FakeKubectl


def words(before: list[str], begun: str = "") -> list[str]:
    return [each.partition("\t")[0] for each in proposals(before, begun)[0]]


def test_commands_come_with_what_they_do() -> None:
    assert words([]) == list(Commands.table)
    assert proposals([], "expl") == (["explain\tSay what it waits for and what would revert it."], NO_FILES)
    assert proposals(["nonsense"], "") == ([], NO_FILES)


@pytest.mark.parametrize(
    ("before", "begun", "found"),
    [
        (["wait"], "--re", ["--revision", "--recorded"]),
        (["wait", "--for"], "p", ["promoted", "paused", "progressing"]),
        (["wait", "fraud", "--for"], "r", ["rolled-back"]),
        (["get", "-o"], "j", ["json", "jsonpath="]),
        (["history", "--output"], "", ["text", "json", "yaml", "name"]),
        (["abort", "--dry-run"], "", ["none", "client", "server"]),
        (["get", "--context"], "", []),
    ],
)
def test_flags_and_their_values(before: list[str], begun: str, found: list[str]) -> None:
    assert words(before, begun) == found


@pytest.mark.parametrize(("before", "directive"), [(["lint"], FILES), (["report", "--html"], FILES), (["run"], FILES)])
def test_files_are_left_to_the_shell(before: list[str], directive: int) -> None:
    assert proposals(before, "") == ([], directive)


def test_rollouts_are_those_where_the_line_looks(kubectl: FakeKubectl) -> None:
    kubectl.answers("fraud   Promoted   4/4   100%   PASS   0.2x   9m\nspam    Progressing   1/4   5%   WAIT      9m\n")
    assert proposals(["get", "-n", "serving", "--context=east"], "") == (["fraud", "spam"], NO_FILES)
    assert words(["get", "-o", "json"], "s") == ["spam"]
    assert kubectl.calls[0] == (
        "--context=east --namespace=serving --request-timeout=2s get modelrollouts.modelrollout.dev --no-headers=true"
    )


def test_a_second_name_is_not_proposed(kubectl: FakeKubectl) -> None:
    assert proposals(["get", "fraud"], "") == ([], NO_FILES)
    assert proposals(["wait", "--timeout", "5m", "fraud", "--for", "end"], "") == ([], NO_FILES)
    assert kubectl.calls == []


def test_without_a_cluster_nothing_is_said(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said="The connection to the server 127.0.0.1:1 was refused\n", code=1)
    assert proposals(["get"], "") == ([], NO_FILES)


def test_a_cluster_that_is_slow_is_not_waited_for(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete, "REQUEST", -0.9)
    kubectl.answers("fraud   Promoted   4/4   100%   PASS   0.2x   9m\n", hangs=True)
    assert proposals(["get"], "") == ([], NO_FILES)


def test_the_answer_is_as_kubectl_reads_it(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.answers("fraud   Promoted   4/4   100%   PASS   0.2x   9m\n")
    monkeypatch.setattr("sys.argv", ["kubectl_complete-modelrollout", "get", ""])
    complete.main()
    assert capsys.readouterr().out == "fraud\n:4\n"
    monkeypatch.setattr("sys.argv", ["kubectl_complete-modelrollout"])
    complete.main()
    assert len(capsys.readouterr().out.splitlines()) == len(Commands.table) + 1


def test_every_command_with_a_name_completes_it() -> None:
    """NAME as the first argument, in the table of commands and in that of completion."""
    for name, entry in Commands.table.items():
        arguments = [p for p in load(name, entry).params if p.param_type_name == "argument"]
        takes = bool(arguments) and (arguments[0].metavar or "").strip("[]") == "NAME"
        assert takes == (name in NAMED), name

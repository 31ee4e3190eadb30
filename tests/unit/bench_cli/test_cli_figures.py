"""The bench of the command line: what is taken off, what is counted, and when wall times are not believed."""

from __future__ import annotations

from collections.abc import Sequence

from e2e.bench_cli import Command, Cost, Result, busy, commands, least, measured, rollouts, table
from modelrollout.cli.main import Commands


def test_the_same_question_by_kubectl_is_taken_off() -> None:
    costs = iter([Cost(0.9, 0.5), Cost(0.2, 0.1), Cost(0.7, 0.6), Cost(0.3, 0.05)])
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> Cost:
        asked.append(argv)
        return next(costs)

    command = Command("get", ("modelrollout", "get"), 0.4, ("kubectl", "get"))
    result = measured(command, run, 2)
    assert asked == [command.argv, command.beneath] * 2, "both see the same machine"
    assert result == Result(command, Cost(0.7, 0.5), 0.8, Cost(0.2, 0.05))
    assert round(result.figure.value, 3) == 0.5
    assert result.figure.missed


def test_what_asks_no_cluster_has_nothing_beneath_it() -> None:
    result = measured(Command("--help", ("modelrollout", "--help"), 0.15), lambda _: Cost(0.1, 0.09), 3)
    assert (result.beneath, result.figure.value, result.figure.missed) == (Cost(0.0, 0.0), 0.1, False)


def test_the_smallest_of_each_counts() -> None:
    assert least([Cost(2.0, 0.1), Cost(1.0, 0.3)]) == Cost(1.0, 0.1)


def test_a_busy_machine_has_no_wall_times() -> None:
    assert busy(0.9, 2) == ""
    assert busy(7.0, 2) == "load 7.0 on 2 cores: wall times are not the program's, look at processor time"


def test_the_table_says_what_was_missed() -> None:
    late = Result(Command("get", (), 0.4, ("kubectl",)), Cost(0.9, 0.5), 1.0, Cost(0.1, 0.1))
    free = Result(Command("explain", ()), Cost(0.9, 0.5), 1.0, Cost(0.1, 0.1))
    head, first, second = table([late, free], judged=True).splitlines()
    assert head.split() == ["command", "wall", "median", "processor", "kubectl", "on", "top", "aim"]
    assert first.split() == ["get", "0.90", "1.00", "0.50", "0.10", "0.80", "0.4", "missed"]
    assert second.split()[-1] == "0.80"
    assert table([late], judged=False).splitlines()[1].endswith("0.4 not judged")


def test_the_aims_are_those_of_the_reference_and_every_command_is_there() -> None:
    assert {each.name: each.aim for each in commands() if each.aim} == {"--help": 0.15, "get": 0.4, "list -A": 1.0}
    typed = {each.argv[1] for each in commands() if each.argv[0] == "modelrollout"} - {"--help"}
    assert typed <= set(Commands.table)


def test_each_rollout_has_a_status_of_its_own() -> None:
    made = rollouts(2)
    assert [each["metadata"]["name"] for each in made] == ["m0", "m1"]
    assert all(each["status"]["slis"] for each in made)

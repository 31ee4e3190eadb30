"""Playing streams through the product's comparison: first verdicts, and what a table says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from e2e.stats.__main__ import NAMES, main, rollouts, write
from e2e.stats.engine import NEVER, play
from e2e.stats.jobs import Question, chunks, run, seeded
from e2e.stats.parts import Parts, code
from e2e.stats.policy import fired, whole, windows
from e2e.stats.streams import Stream, drawn
from e2e.stats.tables import Table
from modelrollout.core.model import STANDARD_TIERS, Margin


def constant(share: float, *, runs: int = 20, ticks: int = 60, rps: float = 200.0) -> Stream:
    rng = seeded(7, share, rps)
    return drawn(rng, runs, rps=rps, weight=np.full(ticks, 0.25), share_c=share, share_l=0.01)


def test_tripled_errors_fail_soon_and_equal_ones_pass() -> None:
    sick, well = (play(constant(share), Margin(), alphas=(0.01,)) for share in (0.03, 0.01))
    assert (sick.failed[0] != NEVER).all()
    assert sick.failed[0].mean() < 6
    assert (sick.passed == NEVER).all()
    assert (well.failed[0] == NEVER).all()


def test_a_smaller_risk_takes_longer() -> None:
    played = play(constant(0.02), Margin(1.0, 0.0), alphas=(1e-6, 0.05))
    assert (played.failed[0] > played.failed[1]).any()
    assert (played.failed[0] >= played.failed[1]).all()


def test_stopping_runs_that_failed_changes_no_first_fail() -> None:
    stream = constant(0.02)
    whole_, stopped = (play(stream, Margin(1.0, 0.0), alphas=(0.01,), stop=stop) for stop in (False, True))
    assert np.array_equal(whole_.failed[0], stopped.failed[0])


def test_skipped_ticks_are_not_judged() -> None:
    assert (play(constant(0.3), Margin(), alphas=(0.01,), skip=5).failed[0] >= 5).all()


def test_windows_never_reach_back_before_a_step() -> None:
    ones = np.ones((1, 8), dtype=np.int64)
    assert windows(ones, 3, (0, 5)).tolist() == [[1, 2, 3, 3, 3, 1, 2, 3]]


def test_a_dead_candidate_is_reverted_by_every_rule() -> None:
    stream = constant(1.0, rps=20.0)
    found = whole(stream, STANDARD_TIERS, allowed=0.01, share=0.001)
    assert all((ticks != NEVER).all() for ticks in (found.fail, found.tier, found.ledger, found.hard))
    assert (found.first == 0).all()
    assert not found.shared.any()
    assert fired(stream, STANDARD_TIERS[0], 0.01, least=3).any(axis=1).all()


def test_an_outage_of_both_arms_is_shared() -> None:
    rng = seeded(3)
    stream = drawn(rng, 10, rps=50.0, weight=np.full(30, 0.3), share_c=0.4, share_l=0.4)
    assert whole(stream, STANDARD_TIERS, allowed=0.01).shared.all()


def test_chunks_cover_all_runs_with_seeds_of_their_own() -> None:
    parts = chunks("key", int, 1200, "more")
    assert [job.args for job in parts] == [(1, 500, "more"), (2, 500, "more"), (3, 200, "more")]


def test_a_missed_target_is_said(tmp_path: Path) -> None:
    table = Table("t", "Title", ("case", "reached", "met"))
    table.add("a", 0.01234, reached=True)
    table.add("b", 0.5, reached=False)
    table.add("c", 0.5, reached=False, known="why")
    assert table.missed == ["b 0.5"]
    assert write(tmp_path, [table], made_by="a") == []
    assert json.loads((tmp_path / "results.json").read_text())["t"]["table"]["missed"] == ["b 0.5"]
    assert "| b | 0.5 | NO |\n| c | 0.5 | NO: why |" in (tmp_path / "results.md").read_text()


def test_tables_of_several_runs_come_together_and_old_code_is_told(tmp_path: Path) -> None:
    first, second = Table("power", "P", ("a",)), Table("edge", "E", ("a",))
    write(tmp_path, [first], made_by="old")
    assert write(tmp_path, [second], made_by="new") == ["power"]
    assert (tmp_path / "results.md").read_text() == "\n".join([second.markdown(), first.markdown()])
    assert write(tmp_path, [first], made_by="new") == []


def test_an_interrupted_run_does_only_what_is_left(tmp_path: Path) -> None:
    def tables(results: Mapping[str, list[int]]) -> list[Table]:
        return [Table("t", str(results["key"]), ())]

    told: list[str] = []
    numbers = Question("q", lambda runs: chunks("key", pow, runs, size=2), tables)
    before = Parts(tmp_path, "code")
    before.keep(70, "q", "key", (1, 2))
    for kept in (before, before, Parts(tmp_path, "changed")):
        run([(numbers, 5)], workers=1, parts=kept, told=lambda _, found: told.append(found[0].title))
    assert told == ["[70, 4, 3]", "[70, 4, 3]", "[1, 4, 3]"]


def test_results_belong_to_the_source_that_made_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = code([tmp_path])
    assert code([tmp_path]) == before
    (tmp_path / "a.py").write_text("2")
    assert code([tmp_path]) != before


def test_rollouts_a_row_may_differ_by_question() -> None:
    assert rollouts("", 7) == dict.fromkeys(NAMES, 7)
    assert rollouts("20,edge=5", 7) == dict.fromkeys(NAMES, 20) | {"edge": 5}


@pytest.mark.parametrize("runs", ["many", "edge=", "nonsense=5"])
def test_other_numbers_of_rollouts_are_refused(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--runs", runs])
    assert "--runs: " in capsys.readouterr().err


def test_an_unknown_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "power,nonsense"])
    assert "no question is called nonsense" in capsys.readouterr().err

"""Counts per tick as CSV: they arrive in the evidence as they stand, gaps stay gaps, and mistakes have a line."""

from __future__ import annotations

import io

import pytest

from modelrollout.core.model import Counts, RolloutSpec, Selector, Sli
from modelrollout.core.observation import NoDataCause
from modelrollout.core.rates import Exposure
from modelrollout.errors import SpecError
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim.counts import Row, lines, read, recording
from modelrollout.sim.recorded import plans
from modelrollout.sim.recording import BadRecording, Header, Recording
from modelrollout.sim.tally import tally
from modelrollout.stats.increments import KnownTargets
from modelrollout.stats.ticks import ArmReader, NoTick, Tick, TickCounts
from tests.scene import make_spec, sli

HEAD = "time,arm,sli,total,bad\n"
T0 = 1_700_000_000


def ticks(text: str, spec: RolloutSpec, arm: str, moments: list[int]) -> list[Tick]:
    """What the evidence code counts in the 5 s before each moment."""
    changed, source, made = recording(spec, read(io.StringIO(text)))
    (plan,) = plans(changed, made, source)
    deployment = (spec.candidate if arm == "candidate" else spec.legacy).deployment
    stored = [s for s in made.series if s.labels["pod"].startswith(deployment)]
    series = [one for s in stored if (one := s.between(0.0, 1e12))]
    reader = ArmReader(plan, scrape=5.0, slack=15.0)
    samples, known = reader.prepare(series), KnownTargets(series)
    return [reader.read(samples, t - 5.0, t, known=known, judged=lambda target: True) for t in map(float, moments)]


def rows(*counts: tuple[int, str, int, int]) -> str:
    return HEAD + "".join(f"{T0 + at},{arm},availability,{total},{bad}\n" for at, arm, total, bad in counts)


def test_every_row_is_counted_once_the_first_too() -> None:
    text = rows((5, "legacy", 10, 1), (10, "legacy", 20, 0), (5, "candidate", 7, 7), (10, "candidate", 0, 0))
    assert ticks(text, make_spec(), "legacy", [T0 + 5, T0 + 10]) == [TickCounts(10, 1), TickCounts(20, 0)]
    assert ticks(text, make_spec(), "candidate", [T0 + 5, T0 + 10]) == [TickCounts(7, 7), TickCounts(0, 0)]


def test_a_missing_row_is_a_tick_without_data_and_the_next_counts_only_its_own() -> None:
    arm = [(at, "legacy", 10, 1) for at in (5, 10, 15, 45, 50)]
    text = rows(*arm, *((at, "candidate", 1, 0) for at in range(5, 55, 5)))
    found = ticks(text, make_spec(), "legacy", [T0 + at for at in range(5, 55, 5)])
    assert found[:3] == [TickCounts(10, 1)] * 3
    assert found[6] == NoTick(NoDataCause.STALE)
    assert found[8:] == [TickCounts(10, 1)] * 2


def test_rows_round_trip() -> None:
    made = [Row(1.0, "legacy", "availability", 5, 0), Row(2.5, "candidate", "availability", 5, 5)]
    assert list(read(io.StringIO("".join(lines(made))))) == made


def test_events_without_a_total_are_no_rows() -> None:
    guard = Sli("restarts", Counts(None, Selector("restarts_total"), Exposure.REPLICAS), None)
    spec = make_spec(slis=(sli(), guard))
    header = Header(str(spec.key), T0, T0 + 60.0, 5.0)
    with pytest.raises(
        SpecError, match=r"SLI 'restarts' has no counts.total, .* record samples \(JSON Lines\) instead"
    ):
        list(tally(spec, Recording(header), SourceSpec("s", ArmsByPod(), 5.0)))


def test_times_may_be_written_with_a_zone() -> None:
    text = HEAD + "2023-11-14T22:13:25Z,legacy,availability,1,0\n"
    assert next(read(io.StringIO(text))).time == T0 + 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: must be the columns time,arm,sli,total,bad, is empty"),
        ("a,b\n", "line 1: must be the columns time,arm,sli,total,bad, is a,b"),
        (HEAD, "rows of one arm and SLI must be at least two"),
        (
            HEAD + "x,legacy,availability,1,0\n",
            "line 2: time must be epoch seconds, or like 2026-11-21T18:25:00Z, is 'x'",
        ),
        (HEAD + "nan,legacy,availability,1,0\n", "line 2: time must be finite, is 'nan'"),
        (HEAD + "1,old,availability,1,0\n", "line 2: arm must be legacy or candidate, is 'old'"),
        (HEAD + "1,legacy,availability,1.5,0\n", "line 2: total must be a whole number from 0 on, is '1.5'"),
        (HEAD + "1,legacy,availability,-1,0\n", "line 2: total must be a whole number from 0 on, is '-1'"),
        (HEAD + "1,legacy,availability,1,2\n", "line 2: bad must be at most total (1), is 2"),
        (HEAD + "1,legacy,availability,1\n", "line 2: bad is missing"),
        (HEAD + "1,legacy,availability,1,0,9\n", "line 2: has more than 5 fields"),
        (HEAD + "1,legacy,speed,1,0\n", "counts an SLI 'speed' that the rollout lacks; it has availability"),
        (HEAD + "1,legacy,availability,1,0\n", "has no row for availability of candidate"),
        (rows((5, "legacy", 1, 0), (5, "legacy", 1, 0), (5, "candidate", 1, 0)), "each later than the one before"),
    ],
)
def test_mistakes_are_said_with_their_line(text: str, said: str) -> None:
    spec = make_spec() if text != HEAD else make_spec(slis=())
    with pytest.raises(BadRecording) as error:
        recording(spec, read(io.StringIO(text)))
    assert said in str(error.value)


def test_slis_keep_what_is_theirs() -> None:
    spec = make_spec(slis=(sli("availability"), sli("latency", critical=False)))
    text = HEAD + "".join(
        f"{at},{arm},{name},1,0\n"
        for at in (1, 2)
        for arm in ("legacy", "candidate")
        for name in ("availability", "latency")
    )
    changed, _, _ = recording(spec, read(io.StringIO(text)))
    assert [(s.name, s.critical, s.allowed) for s in changed.slis] == [
        ("availability", True, 0.01),
        ("latency", False, 0.01),
    ]

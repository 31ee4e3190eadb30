from modelrollout.stats.ages import Ages
from modelrollout.stats.increments import KnownTargets
from tests.unit.stats.fleet import series

POD = ("", "", "", "a")


def ages(*times: float, until: float = 100.0) -> Ages:
    found = Ages(warmup=30.0, slack=15.0)
    found.advance(KnownTargets([series([(t, 1.0) for t in times], pod="a")]), until)
    return found


def test_a_target_is_ripe_after_warmup() -> None:
    found = ages(50, 60, 70, 80, 90)
    assert not found.ripe(POD, 79.9, step=0)
    assert found.ripe(POD, 80, step=0)


def test_a_target_that_was_there_as_the_step_began_is_ripe() -> None:
    assert ages(90).ripe(POD, 95, step=90)
    assert not ages(90).ripe(POD, 95, step=89)


def test_a_silence_makes_a_target_new_again() -> None:
    found = ages(40, 50, 66, 80, 95)
    assert not found.ripe(POD, 95, step=0)
    assert found.ripe(POD, 96, step=0)


def test_scrapes_of_the_future_and_unknown_targets_do_not_count() -> None:
    assert not ages(110).ripe(POD, 200, step=150)
    assert not ages(90).ripe(("", "", "", "b"), 200, step=150)


def test_overlapping_reads_are_noticed_once() -> None:
    found = ages(50, 60, until=60)
    found.advance(KnownTargets([series([(t, 1.0) for t in (50, 60, 70)], pod="a")]), 70)
    assert found.ripe(POD, 80, step=0)


def test_a_target_that_went_away_is_forgotten() -> None:
    found = ages(50, 60, until=60)
    found.advance(KnownTargets([]), 76)
    assert not found.ripe(POD, 90, step=0)

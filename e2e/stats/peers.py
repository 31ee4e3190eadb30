"""Other ways to decide on a rollback, on the same streams. Each returns the tick of the rollback, or `NEVER`.

Settings are those of documentation and of usual examples: a check once a minute over the last minute, an error share
that may be one and a half times the usual one. A minute without candidate requests counts as good.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from e2e.stats.engine import NEVER
from e2e.stats.streams import MINUTE, Floats, Ints, Stream

FLAGGER_THRESHOLD = 5
ARGO_FAILURE_LIMIT = 3
Z_LEVEL = 0.05
KAYENTA_EVERY = 5
KAYENTA_CONFIDENCE = 0.98
KAYENTA_TOLERANCE = 0.25


def minutes(counts: Ints) -> Ints:
    """Sums over whole minutes: [runs, minutes]."""
    whole = counts.shape[1] // MINUTE * MINUTE
    found: Ints = counts[:, :whole].reshape(len(counts), -1, MINUTE).sum(axis=2)
    return found


def first(flags: np.typing.NDArray[np.bool_], *, every: int = 1) -> Ints:
    """Tick of the first true flag in each row, of flags that are told each `every` ticks."""
    found: Ints = np.where(flags.any(axis=1), (flags.argmax(axis=1) + 1) * every - 1, NEVER)
    return found


def failed_checks(stream: Stream, limit: float) -> np.typing.NDArray[np.bool_]:
    """Minutes in which the candidate's bad share was above `limit`."""
    found: np.typing.NDArray[np.bool_] = minutes(stream.e_c) > limit * minutes(stream.n_c)
    return found


def flagger(stream: Stream, limit: float) -> Ints:
    """`interval: 1m`, `threshold: 5`: failed checks add up over the whole run, a good one does not take any back.

    The number is looked at before the next check, so the rollback comes a minute after the last failure.
    """
    reached = failed_checks(stream, limit).cumsum(axis=1) >= FLAGGER_THRESHOLD
    late = np.zeros_like(reached)
    late[:, 1:] = reached[:, :-1]
    return first(late, every=MINUTE)


def in_a_row(stream: Stream, limit: float, *, count: int = 3) -> Ints:
    """The same checks, but `count` failures one after the other are needed."""
    failed = failed_checks(stream, limit).astype(np.int64)
    run = np.zeros(len(failed), dtype=np.int64)
    reached = np.zeros(failed.shape, dtype=bool)
    for minute in range(failed.shape[1]):
        run = (run + 1) * failed[:, minute]
        reached[:, minute] = run >= count
    return first(reached, every=MINUTE)


def argo(stream: Stream, limit: float) -> Ints:
    """Background analysis, `interval: 1m`, `failureLimit: 3`: the fourth failure of the run aborts."""
    return first(failed_checks(stream, limit).cumsum(axis=1) > ARGO_FAILURE_LIMIT, every=MINUTE)


def pooled_z(stream: Stream) -> Ints:
    """One-sided test of two proportions at 5 % on all counts so far, at every tick."""
    n_c, e_c, n_l, e_l = (each.cumsum(axis=1) for each in (stream.n_c, stream.e_c, stream.n_l, stream.e_l))
    both = np.maximum(n_c + n_l, 1)
    pooled = (e_c + e_l) / both
    spread = np.sqrt(pooled * (1 - pooled) * both / np.maximum(n_c * 1.0 * n_l, 1.0))
    apart = e_c / np.maximum(n_c, 1) - e_l / np.maximum(n_l, 1)
    return first((spread > 0) & (apart > -ndtri(Z_LEVEL) * spread))


def kayenta(stream: Stream) -> Ints:
    """Mann-Whitney on the minutes' bad shares so far, each five minutes.

    Fails ("High") when the lower end of the 98 % interval of the shift (Hodges and Lehmann) is above a quarter of the
    estimated shift.
    """
    with np.errstate(invalid="ignore"):
        own, other = (
            np.nan_to_num(minutes(bad) / minutes(every))
            for bad, every in ((stream.e_c, stream.n_c), (stream.e_l, stream.n_l))
        )
    looks = own.shape[1] // KAYENTA_EVERY
    flags = np.zeros((stream.runs, looks), dtype=bool)
    for look in range(looks):
        flags[:, look] = _shifted(own[:, : (look + 1) * KAYENTA_EVERY], other[:, : (look + 1) * KAYENTA_EVERY])
    return first(flags, every=KAYENTA_EVERY * MINUTE)


def _shifted(own: Floats, other: Floats) -> np.typing.NDArray[np.bool_]:
    m, n = own.shape[1], other.shape[1]
    apart = np.sort((own[:, :, None] - other[:, None, :]).reshape(len(own), -1), axis=1)
    z = float(ndtri(0.5 + KAYENTA_CONFIDENCE / 2))
    place = int(m * n / 2 - z * np.sqrt(m * n * (m + n + 1) / 12))
    shift = np.median(apart, axis=1)
    found: np.typing.NDArray[np.bool_] = apart[:, max(place - 1, 0)] > KAYENTA_TOLERANCE * np.abs(shift)
    return found

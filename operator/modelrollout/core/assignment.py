"""Which users see the candidate, where traffic is split by user and not by request.

A keyed hash gives every user a place between 0 and 1 that stays the same as long as the key does; those below the
weight are the candidate's. So a user who is in stays in while the weight grows, everybody can work it out afterwards,
in any language, and two rollouts with keys of their own divide users independently of each other.

Source: BLAKE2b with a key (RFC 7693). Not Python's `hash()`, which differs from process to process.
"""

from __future__ import annotations

from hashlib import blake2b

from modelrollout.core.model import Weight

PLACES = 2**64
BUCKETS = 10_000
"""As many as there are weights: a bucket is as fine as the finest step."""
LONGEST_KEY = blake2b.MAX_KEY_SIZE


def place(unit: str, key: str) -> int:
    """Where a user (session, tenant) stands: an integer from 0 to 2**64 - 1, the same in every process and language.

    `unit`, `key`: any text, as UTF-8; a rollout and its revision make a good key. The place is the BLAKE2b digest of
    8 bytes of `unit` under `key`, read as a big-endian integer. Raises ValueError for an empty key or one of more than
    64 bytes: BLAKE2b takes no more, and cut off, two keys would be one.
    """
    secret = key.encode()
    if not 0 < len(secret) <= LONGEST_KEY:
        raise ValueError(f"the key must have 1 to {LONGEST_KEY} bytes as UTF-8, has {len(secret)}")
    return int.from_bytes(blake2b(unit.encode(), key=secret, digest_size=8).digest(), "big")


def bucket(unit: str, key: str) -> int:
    """The same, coarser: 0 to 9999. A user is the candidate's at every weight above their bucket. Errors as `place`.

    What callers send to a gateway that can't hash, as four digits.
    """
    return place(unit, key) * BUCKETS // PLACES


def is_candidates(unit: str, key: str, weight: Weight) -> bool:
    """Whether this user is the candidate's at `weight` (hundredths of a percent of all users). Errors as `place`."""
    return bucket(unit, key) < weight

"""Names of objects that the operator creates: deterministic, legal, and different for different rollouts. Pure."""

from __future__ import annotations

from hashlib import blake2b

MAX_LABEL = 63
SUFFIX = "-modelrollout"


def cut(name: str, limit: int) -> str:
    """`name` if it fits in `limit` characters, else its beginning and a hash of the whole."""
    if len(name) <= limit:
        return name
    tail = "-" + blake2b(name.encode(), digest_size=5).hexdigest()
    # A name may not hold ".-" or end in either, wherever the cut falls.
    return name[: limit - len(tail)].rstrip("-._") + tail


def route_name(rollout: str) -> str:
    """Name of the managed HTTPRoute; the suffix keeps clear of routes that people name after their model."""
    return cut(rollout, MAX_LABEL - len(SUFFIX)) + SUFFIX


def label_value(rollout: str) -> str:
    """Value of the label that says which rollout an object belongs to."""
    return cut(rollout, MAX_LABEL)

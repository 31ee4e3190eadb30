"""Short digests of JSON values, for comparing what was written with what is stored. Pure."""

from __future__ import annotations

import json
from hashlib import blake2b


def digest(value: object) -> str:
    """Sixteen hexadecimal digits; equal for equal values, whatever the order of their keys."""
    return blake2b(canonical(value).encode(), digest_size=8).hexdigest()


def canonical(value: object) -> str:
    """The value as text, with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

"""What can be changed while a load runs, and when the next request is due. Pure."""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import Any

MAX_RATE = 5_000.0
MAX_USERS = 1_000_000


class BadSetting(ValueError):
    """A setting that can't be used; the message names the field, the value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """rate: requests per second, 0 pauses. users: how many different ones, drawn evenly. header_share: part of
    the users who carry the segment headers, always the same ones. step: cohort stamped on predictions.
    feedback_delay: seconds from answer to label. feedback_share: part of the answers whose label comes.
    """

    rate: float
    users: int = 1_000
    header_share: float = 0.0
    step: str = "0"
    feedback_delay: float = 5.0
    feedback_share: float = 1.0


def override(settings: Settings, changes: object) -> Settings:
    """Return the settings with the named fields changed; BadSetting for an unknown field or value."""
    if not isinstance(changes, dict):
        raise BadSetting('settings must be a JSON object such as {"rate": 50}')
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in changes:
        if name not in known:
            raise BadSetting(f"unknown setting {str(name)[:40]!r}; known: {', '.join(known)}")
    return checked(dataclasses.replace(settings, **changes))


def checked(settings: Settings) -> Settings:
    """Return the settings, or raise BadSetting."""
    limits: list[tuple[str, float, float]] = [
        ("rate", 0, MAX_RATE),
        ("users", 1, MAX_USERS),
        ("header_share", 0, 1),
        ("feedback_delay", 0, 86_400),
        ("feedback_share", 0, 1),
    ]
    for name, low, high in limits:
        value: Any = getattr(settings, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise BadSetting(f"{name} must be a number from {low:g} to {high:g}, found {str(value)[:20]!r}")
    if not isinstance(settings.users, int):
        raise BadSetting(f"users must be a whole number, found {str(settings.users)[:20]!r}")
    if not isinstance(settings.step, str) or not re.fullmatch(r"[0-9]{1,3}", settings.step):
        raise BadSetting(f"step must be a string of one to three digits, found {str(settings.step)[:20]!r}")
    return settings


def unit(text: str, purpose: str) -> float:
    """Return a number in [0, 1) that is always the same for this text and purpose."""
    digest = hashlib.blake2b(text.encode(), key=purpose.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Pacer:
    """Due times of an open loop: `anchor + k / rate`, so that errors of single sleeps don't add up."""

    def __init__(self, *, now: float, rate: float) -> None:
        self._anchor, self._rate, self._sent = now, rate, 0

    def due(self) -> float:
        """Return when the next request is due; infinity while paused."""
        return self._anchor + self._sent / self._rate if self._rate else float("inf")

    def advance(self) -> None:
        """Go on to the request after this one."""
        self._sent += 1

    def change(self, *, now: float, rate: float) -> None:
        """Use another rate from now on: the next request is due one new interval from now, never a burst."""
        if rate != self._rate:
            self._anchor, self._rate, self._sent = now, rate, 1

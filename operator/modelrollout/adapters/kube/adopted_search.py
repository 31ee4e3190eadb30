"""Which of an object's lists of weighted entries has both arms, in the words of its kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.core.observation import RouteUnusable

Places = tuple[tuple[int, ...], tuple[int, ...]]
"""Positions of legacy's and of candidate's entries in one list."""


@dataclass(frozen=True, slots=True)
class Words:
    """How sentences call things.

    `where`: the object; `lists`, `entries`: one of its lists, and all that is in one; `noun`, `arms`: what the arms are
    told apart by; `field`: where the spec names a list.
    """

    where: str
    lists: str
    entries: str
    noun: str
    arms: tuple[str, str]
    field: str
    beside: str = ""

    @property
    def both(self) -> str:
        """The two arms."""
        return f'{self.noun}s "{self.arms[0]}" and "{self.arms[1]}"{self.beside}'


def find(
    names: Sequence[str | None], places: Sequence[Places], wanted: str | None, words: Words
) -> int | RouteUnusable:
    """Position of the list that is meant: the one of that name, else the only one with both arms."""
    fits = [bool(legacy) and bool(candidate) for legacy, candidate in places]
    if wanted is None:
        found = [index for index, fit in enumerate(fits) if fit]
    else:
        found = [index for index, name in enumerate(names) if name == wanted]
    one, where, both = words.lists, words.where, words.both
    if not found and wanted is not None:
        told = ", ".join(name for name in names if name) or "none has a name"
        return RouteUnusable(
            f'{where} has no {one} named "{wanted}" (its {one}s: {told}): correct {words.field} or name the {one}'
        )
    if not found:
        return RouteUnusable(
            f"no {one} of {where} has both {both} in its {words.entries}: add the missing one (weight 0 for the"
            f" candidate) to the {one} that should be steered"
        )
    if len(found) > 1:
        told = ", ".join(map(str, found))
        if wanted is not None:
            return RouteUnusable(
                f'{one}s {told} of {where} are all named "{wanted}": give the one that should be steered a name of its'
                f" own, and set {words.field} to it"
            )
        return RouteUnusable(
            f"{one}s {told} of {where} all have both {both}: set {words.field} to the name of the one that should be"
            f" steered"
        )
    if not fits[found[0]]:
        return RouteUnusable(
            f'{one} "{wanted}" of {where} does not have both {both} in its {words.entries}: add the missing one'
            f" (weight 0 for the candidate) or correct {words.field}"
        )
    return found[0]


def single(places: Places, label: str, words: Words) -> tuple[int, int] | RouteUnusable:
    """Positions of the two entries in the list `label`, unless an arm has several."""
    for arm, name, found in zip(("legacy", "candidate"), words.arms, places, strict=True):
        if len(found) > 1:
            return RouteUnusable(
                f'{label} of {words.where} names {words.noun} "{name}" ({arm}) {len(found)} times in its'
                f" {words.entries}: leave one of them"
            )
    return places[0][0], places[1][0]

"""Requests that do not go the way the route's weights say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """Requests of the candidate and of both arms that the weights did not bring about by chance.

    `due`: the candidate's share by the weights, as a fraction. `slight`: near enough for the arms to be compared
    (meshes round weights, connections stick), so it is only told.
    """

    candidate: int
    total: int
    due: float
    slight: bool = False

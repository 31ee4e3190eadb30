"""`modelrollout assign`: where users stand, and which version is theirs at a weight. Needs no cluster."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from modelrollout.cli.complaints import clean
from modelrollout.cli.exits import ERROR, USAGE, fail
from modelrollout.core.assignment import bucket, is_candidates, place
from modelrollout.core.model import FULL, Weight

STDIN = "-"
WEIGHT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%?")


class Output(StrEnum):
    """Format of an answer."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one user stands; `arm` is None without a weight."""

    unit: str
    place: int
    bucket: int
    arm: str | None


def assign(
    key: Annotated[str, typer.Option(help="1 to 64 bytes, such as NAMESPACE/NAME/REVISION.")],
    unit: Annotated[list[str], typer.Option(help="A user, session or tenant. Repeat; - reads them, a line each.")],
    weight: Annotated[
        str | None, typer.Option(help="The candidate's share in percent, such as 25 or 0.5: says whose the user is.")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text, or json: an object a line.")] = Output.TEXT,
) -> None:
    """Say where users stand by the keyed hash: bucket, place, and with a weight the arm that is theirs.

    A user is the candidate's at every weight above their bucket.
    Exit codes: 0 done, 1 a user that is not UTF-8, 2 usage.
    """
    share = None if weight is None else _share(weight)
    try:
        place("", key)
    except UnicodeEncodeError:
        fail("--key: is not UTF-8", USAGE)
    except ValueError as error:
        fail(f"--key: {error}", USAGE)
    for name, where in _units(unit):
        try:
            found = standing(name, key, share)
        except UnicodeEncodeError:
            fail(f"{where}: {clean(name)} is not UTF-8", ERROR)
        typer.echo(_line(found, key, output))


def standing(unit: str, key: str, weight: Weight | None) -> Standing:
    """Where this user stands. Errors as `assignment.place`, and UnicodeEncodeError for text that is none."""
    arm = None if weight is None else "candidate" if is_candidates(unit, key, weight) else "legacy"
    return Standing(unit, place(unit, key), bucket(unit, key), arm)


def _units(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each user, and how a message calls where they come from. A line of stdin is a user, an empty one too."""
    for each in given:
        if each != STDIN:
            yield each, "--unit"
            continue
        for number, line in enumerate(sys.stdin.buffer, 1):
            text = line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="surrogateescape")
            yield text, f"line {number} of the input"


def _share(text: str) -> Weight:
    found = WEIGHT.fullmatch(text)
    weight = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else FULL + 1
    if weight > FULL:
        fail(
            f"--weight {clean(text)}: must be a share from 0 to 100 with at most two decimals, such as 25 or 0.5", USAGE
        )
    return Weight(weight)


def _line(found: Standing, key: str, output: Output) -> str:
    digits, number = f"{found.place:016x}", f"{found.bucket:04d}"
    if output is Output.JSON:
        arm = {} if found.arm is None else {"arm": found.arm}
        return json.dumps({"unit": found.unit, "key": key, "place": digits, "bucket": number} | arm)
    # The user comes last: it may hold spaces.
    return "  ".join((number, digits, *([] if found.arm is None else [found.arm.ljust(9)]), clean(found.unit)))

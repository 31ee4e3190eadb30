"""`modelrollout plan`: what a rollout will take, before it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from enum import StrEnum
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import ERROR, INVALID, NOT_PROVABLE, OK, USAGE, fail
from modelrollout.cli.profile_files import Files

if TYPE_CHECKING:
    from modelrollout.cli.manifest import Manifest
    from modelrollout.core.model import RolloutSpec
    from modelrollout.core.outlook import Load

DEAD = "dead"


class Output(StrEnum):
    """Format of a plan."""

    TEXT = "text"
    JSON = "json"


class BadOption(ValueError):
    """An option that can't be used; the text is for the user."""


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Manifest with ModelRollouts; - reads stdin.")],
    rate: Annotated[
        list[str] | None,
        typer.Option(help="Requests a second of both versions together: 20, or for one SLI accuracy=0.5. Repeat."),
    ] = None,
    error_rate: Annotated[
        list[str] | None,
        typer.Option(
            help="Bad share of legacy: 0.01 or 1%, or for one SLI latency=0.05. Repeat. Default: half of the allowed."
        ),
    ] = None,
    regression: Annotated[
        list[str] | None,
        typer.Option(help="Times legacy's bad share, or dead. Repeat. Default: 1.5 2 3 5 10 dead."),
    ] = None,
    scrape_interval: Annotated[
        str | None, typer.Option(help="Such as 15s. Default: the MetricSource's in FILE, or analysis.interval.")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    profiles: Files = None,
) -> None:
    """Say how long a rollout will take, what its margins can prove in time, and how soon a regression is found.

    Exit codes: 0 every margin is provable in time, 6 one is not, 5 the object is invalid, 1 no such file, 2 usage.
    """
    from modelrollout.cli import plan_report
    from modelrollout.cli.manifest import load_all
    from modelrollout.errors import SpecError
    from modelrollout.stats.forecast import REGRESSIONS, forecast

    try:
        manifests = load_all(file, profiles or ())
    except SpecError as error:
        fail(str(error), INVALID)
    except OSError as error:
        fail(f"{file}: {error.strerror or type(error).__name__}; name a manifest that can be read", ERROR)
    try:
        known = {sli.name for manifest in manifests for sli in manifest.spec.slis}
        rates = by_sli("--rate", rate or [], known)
        if 0 in rates.values():
            raise BadOption("--rate 0: must be more than 0")
        shares = by_sli("--error-rate", error_rate or [], known, most=1.0)
        sizes = tuple(times(text) for text in regression) if regression else REGRESSIONS
        asked = None if scrape_interval is None else seconds("--scrape-interval", scrape_interval)
        cases = [(each.spec, loads(each.spec, rates, shares), scrape(each, asked)) for each in manifests]
    except BadOption as error:
        fail(str(error), USAGE)
    outlooks = [(spec, forecast(spec, load, scrape=every, regressions=sizes)) for spec, load, every in cases]
    report = plan_report.as_json if output is Output.JSON else plan_report.as_text
    report(outlooks, sys.stdout)
    raise typer.Exit(NOT_PROVABLE if any(outlook.refusals for _, outlook in outlooks) else OK)


def by_sli(flag: str, given: Sequence[str], known: set[str], *, most: float = inf) -> dict[str | None, float]:
    """Values of an option by SLI; None stands for all others. Raises BadOption."""
    found: dict[str | None, float] = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if equals and name not in known:
            raise BadOption(f"{flag} {text}: there is no SLI {name!r}; there are {', '.join(sorted(known))}")
        found[name if equals else None] = number(flag, value, most=most)
    return found


def number(flag: str, text: str, *, most: float = inf) -> float:
    """A value, as a number or in percent. Raises BadOption."""
    bare = text.strip().removesuffix("%")
    try:
        value = float(bare) / (1 if bare == text.strip() else 100)
    except ValueError:
        raise BadOption(f"{flag} {text}: must be a number") from None
    if not (isfinite(value) and 0 <= value <= most):
        bounds = "0 or more" if most == inf else f"between 0 and {most:g} (or a percentage)"
        raise BadOption(f"{flag} {text}: must be {bounds}")
    return value


def times(text: str) -> float | None:
    """How many times legacy's bad share; None for `dead`. Raises BadOption."""
    if text == DEAD:
        return None
    value = number("--regression", text.removesuffix("x"))
    if value <= 1:
        raise BadOption(f"--regression {text}: must be more than 1, or {DEAD}")
    return value


def seconds(flag: str, text: str) -> float:
    """Seconds of a duration such as 1m30s. Raises BadOption."""
    from modelrollout.api.scalars import DURATION, parse_duration

    if not re.fullmatch(DURATION, text) or parse_duration(text) <= 0:
        raise BadOption(f"{flag} {text}: must be a duration above 0, such as 15s")
    return parse_duration(text)


def loads(spec: RolloutSpec, rates: dict[str | None, float], shares: dict[str | None, float]) -> dict[str, Load]:
    """The load of each critical SLI with an objective. Raises BadOption when it has no rate."""
    from modelrollout.core.outlook import Load

    found = {}
    for sli in spec.slis:
        rate = rates.get(sli.name, rates.get(None))
        if sli.allowed is None:
            continue
        if rate is None and sli.critical:
            raise BadOption(f"no rate for SLI {sli.name!r}: give --rate NUMBER, or --rate {sli.name}=NUMBER")
        if rate is not None:
            found[sli.name] = Load(rate, shares.get(sli.name, shares.get(None, sli.allowed / 2)))
    return found


def scrape(manifest: Manifest, asked: float | None) -> float:
    """Scrape interval in seconds: as asked for, as the MetricSource says, or as often as ticks are."""
    told = manifest.source.scrape_interval if manifest.source else None
    return asked or told or manifest.spec.analysis.interval

"""Entries of profiles in words: the one text of the command line and of the reference page."""

from __future__ import annotations

from modelrollout.catalog.profiles import Counter, Entry, LatencyEntry, Pairs

SUM = " + "
OR = " or "


def total(entry: Entry) -> str:
    """What is counted: `a_total or b_total{code=~"5.."} + c_total`."""
    return SUM.join(counter(each) for each in entry.total)


def bad(entry: Entry) -> str:
    """Which of the total are bad events."""
    if isinstance(entry, LatencyEntry):
        names = OR.join(f"{name}_bucket" for name in entry.histogram.names)
        return f"total - {names}{matchers(entry.histogram, (('le', '<threshold>'),))}"
    return SUM.join(counter(each) for each in entry.bad)


def counter(each: Counter) -> str:
    """A counter with its alternatives and labels; without names of its own, the labels alone."""
    return f"{OR.join(each.names)}{matchers(each)}"


def matchers(each: Counter, more: Pairs = ()) -> str:
    """Labels in PromQL's way, empty without any."""
    parts = [f'{name}="{value}"' for name, value in (*each.equal, *more)]
    parts += [f'{name}=~"{pattern}"' for name, pattern in each.regex]
    return f"{{{','.join(parts)}}}" if parts else ""

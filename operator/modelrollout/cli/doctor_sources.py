"""`modelrollout doctor`: MetricSources as the operator finds them, how often is looked and scraped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelrollout.cli.asking import Asking
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.doctor_rollouts import named
from modelrollout.cli.fields import Fields
from modelrollout.cli.findings import Finding, error, ok, unknown, warning
from modelrollout.cli.installed import Installed
from modelrollout.core.model import STANDARD_TIERS
from modelrollout.core.wording import duration

INTERVAL = 5.0
"""Seconds of `analysis.interval` where a rollout says nothing."""
SAMPLES = 4
"""A window shorter than so many scrapes can't tell a trend from a gap."""
SHORTEST = min(tier.short for tier in STANDARD_TIERS)
JUDGED = ("Preflight", "Progressing", "Paused")
"""Phases in which the operator asks Prometheus about a rollout."""
_READS = re.compile(
    r"^modelrollout_metric_read_duration_seconds_count\{(?P<labels>[^}]*)\} (?P<count>\S+)", re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
PORT = 8080


def source_of(rollout: Fields) -> str:
    """Name of its MetricSource."""
    return rollout.part("spec", "analysis").text("metricSource") or "default"


def sources(
    stored: Sequence[Mapping[str, Any]] | Complaint,
    rollouts: Sequence[Fields],
    reads: Mapping[str, dict[str, float]] | str,
) -> Iterator[Finding]:
    """Each source that is there or asked for. `reads`: by source and result, or why the operator's are not known."""
    used: dict[str, list[Fields]] = {}
    for each in rollouts:
        used.setdefault(source_of(each), []).append(each)
    there: dict[str, Fields] = {}
    if isinstance(stored, Complaint):
        yield unknown("metric source", f"MetricSources can't be read: {stored}", "ask whoever administers the cluster")
    else:
        there = {Fields(each).part("metadata").text("name"): Fields(each) for each in stored}
        if not there and not used:
            yield warning("metric source", "there is no MetricSource", "kubectl apply one; see docs/reference/api.md")
    for name in sorted(there.keys() | used.keys()):
        whose = used.get(name, [])
        if name not in there and not isinstance(stored, Complaint):
            fix = f"create the MetricSource {name}, or name another in spec.analysis.metricSource"
            yield error("metric source", f"{name}: there is none, but {named(whose)} use it", fix)
            continue
        yield _accepted(name, whose)
        yield _reached(name, whose, reads)
        if name in there:
            yield from scraping(name, there[name], whose)


def _accepted(name: str, whose: Sequence[Fields]) -> Finding:
    """A MetricSource has no status: what is wrong with it is told by the rollouts that use it."""
    refused = [each for each in whose if each.part("status").condition("ResolvedRefs").text("status") == "False"]
    about = [each for each in refused if "etricSource" in _message(each, "ResolvedRefs")]
    if about:
        return error("metric source", f"{name}: {_message(about[0], 'ResolvedRefs')}", "do what the message says")
    resolved = [each for each in whose if each.part("status").condition("ResolvedRefs").text("status") == "True"]
    if resolved:
        return ok("metric source", f"{name}: accepted for {named(resolved)}")
    return unknown("metric source", f"{name}: no rollout that uses it tells whether it is accepted")


def _reached(name: str, whose: Sequence[Fields], reads: Mapping[str, dict[str, float]] | str) -> Finding:
    """Whether the operator gets answers: from here nobody knows, this machine is not where it runs."""
    judged = [each for each in whose if each.part("status").text("phase") in JUDGED]
    silent = [
        each
        for each in judged
        if "MetricsUnreachable"
        in (each.part("status").text("reason"), each.part("status").condition("MetricsFresh").text("reason"))
    ]
    if silent:
        why = _message(silent[0], "MetricsFresh") or silent[0].part("status").text("message")
        return error("prometheus", f"{name}: the operator gets no answer: {why}", "see docs/runbooks/no-data.md")
    fresh = [each for each in judged if each.part("status").condition("MetricsFresh").text("status") == "True"]
    if fresh:
        return ok("prometheus", f"{name}: the operator has fresh data for {named(fresh)}")
    if isinstance(reads, str):
        return unknown("prometheus", f"{name}: no rollout is being judged with it, and {reads}")
    results = reads.get(name, {})
    if results.get("ok"):
        return ok("prometheus", f"{name}: has answered the operator {results['ok']:,.0f} times since it started")
    if results:
        worst = max(results, key=results.__getitem__)
        told = f"{name}: has never answered the operator since it started; most often {worst}"
        return error("prometheus", told, "check address, token and network policy; docs/runbooks/no-data.md")
    return unknown("prometheus", f"{name}: the operator has not asked it since it started")


def scraping(name: str, source: Fields, whose: Sequence[Fields]) -> Iterator[Finding]:
    """The interval of scrapes against that of looks, and against the shortest window."""
    every = source.part("spec").span("scrapeInterval")
    if every is None:
        fix = "set spec.scrapeInterval of the MetricSource, if the operator should not find it by itself"
        yield unknown("scrape interval", f"{name}: not written; the operator finds it from the samples", fix)
        return
    hasty = [each for each in whose if (each.part("spec", "analysis").span("interval") or INTERVAL) < every]
    if hasty:
        told = f"{name} is scraped every {duration(every)}, and {named(hasty)} look more often"
        yield warning("scrape interval", f"{told}: most looks see nothing new", f"analysis.interval: {duration(every)}")
    if SAMPLES * every > SHORTEST:
        told = (
            f"{name} is scraped every {duration(every)}: the shortest burn window, {duration(SHORTEST)}, has fewer than"
        )
        fix = f"scrape the models every {duration(SHORTEST / SAMPLES)} or more often"
        yield warning("scrape interval", f"{told} {SAMPLES} samples, and a fast burn is seen late", fix)
    if not hasty and SAMPLES * every <= SHORTEST:
        yield ok("scrape interval", f"{name}: {duration(every)}, with looks at most as often")


def operators_reads(asking: Asking, there: Sequence[Installed] | Complaint) -> dict[str, dict[str, float]] | str:
    """Reads of the operators by source and result, from their own metrics; a sentence when they can't be had."""
    if isinstance(there, Complaint) or not there:
        return "the operator's own metrics can't be read: its pods are not known"
    reads: dict[str, dict[str, float]] = {}
    for each in there:
        selector = "app.kubernetes.io/part-of=modelrollout,app.kubernetes.io/component=operator"
        pods = asking.items("the operator's pods", "pods", f"--namespace={each.namespace}", f"--selector={selector}")
        if isinstance(pods, Complaint):
            return f"the operator's own metrics can't be read: {pods}"
        for pod in pods:
            path = f"/api/v1/namespaces/{each.namespace}/pods/{Fields(pod).part('metadata').text('name')}:{PORT}"
            page = asking.text("the operator's metrics", "get", "--raw", f"{path}/proxy/metrics")
            if isinstance(page, Complaint):
                return f"the operator's own metrics can't be read through the API server: {page}"
            add(reads, page)
    return reads


def add(reads: dict[str, dict[str, float]], page: str) -> None:
    """Count the reads that a page of metrics tells of."""
    for line in _READS.finditer(page):
        labels = dict(_LABEL.findall(line["labels"]))
        by_result = reads.setdefault(labels.get("source", ""), {})
        result = labels.get("result", "")
        by_result[result] = by_result.get(result, 0.0) + float(line["count"])


def _message(rollout: Fields, kind: str) -> str:
    return rollout.part("status").condition(kind).text("message")

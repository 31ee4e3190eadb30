"""From resources as JSON to core values. Total: whatever the JSON is, the answer is a value or a problem in words.

The API server has checked schema and CEL before; everything is checked again here, because a CRD can be older than
this program. Defaults of behaviour live here and not in the CRD, so that a later release may change them for
objects that do not set them. Callers convert once per (uid, resourceVersion).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from modelrollout.api import v1alpha1
from modelrollout.api.ladder import ladder
from modelrollout.api.pods import in_pods
from modelrollout.api.reading import INVALID_SPEC, count, epoch, mapping, parse, text
from modelrollout.api.scalars import parse_allowed, parse_decimal, parse_duration, parse_percent
from modelrollout.api.source import Connection, SecretKey, Source
from modelrollout.api.traffic import header_problem, traffic
from modelrollout.api.v1alpha1 import rollout as api
from modelrollout.api.v1alpha1 import sli as api_sli
from modelrollout.api.v1alpha1 import source as api_source
from modelrollout.api.v1alpha1 import steps as api_steps
from modelrollout.api.v1alpha1 import traffic as api_traffic
from modelrollout.core import model
from modelrollout.core.observation import ActionRequest, SpecProblem
from modelrollout.core.rates import Exposure
from modelrollout.ports import ArmsByLabel, ArmsByPod, SourceSpec

DEFAULT_PORT = 8080


def to_spec(obj: Mapping[str, Any], *, strict: bool = False) -> model.RolloutSpec | SpecProblem:
    """The spec of a `ModelRollout` with every default filled in. `strict`: unknown fields are problems (linting)."""
    meta = mapping(obj, "metadata")
    key = model.Key(text(meta, "namespace"), text(meta, "name"))
    if not key.name or not key.namespace:
        return SpecProblem(INVALID_SPEC, "metadata: name and namespace must be set")
    parsed = parse(v1alpha1.RolloutSpec, obj, strict=strict)
    if isinstance(parsed, SpecProblem):
        return parsed
    asked, pods = ladder(parsed), parsed.traffic.replicas
    steps = in_pods(asked, pods)
    if isinstance(steps, SpecProblem):
        return steps
    slis = _slis(parsed)
    problem = _margin_problem(slis) or header_problem(parsed.traffic) or _weight_problem(parsed)
    if problem:
        return SpecProblem(INVALID_SPEC, problem)
    return model.RolloutSpec(
        key=key,
        uid=text(meta, "uid"),
        generation=count(meta, "generation"),
        legacy=_arm(parsed.legacy, pods),
        candidate=_arm(parsed.candidate, pods),
        port=DEFAULT_PORT if parsed.port is None else parsed.port,
        traffic=traffic(parsed.traffic, asked),
        steps=steps,
        slis=slis,
        budget=_budget(parsed.error_budget or api.ErrorBudget()),
        analysis=_analysis(parsed.analysis or api.Analysis(), parsed.ramp, pods),
        candidate_deadline=_seconds(parsed.candidate_deadline, 600.0),
        paused=parsed.paused is True,
        blocking=parsed.gitops is not None and parsed.gitops.blocking is True,
        ramp=parsed.ramp is not None,
    )


def to_source(obj: Mapping[str, Any], *, strict: bool = False) -> Source | SpecProblem:
    """A `MetricSource` with every default filled in. Secrets are named, not read."""
    name = text(mapping(obj, "metadata"), "name")
    if not name:
        return SpecProblem(INVALID_SPEC, "metadata: name must be set")
    parsed = parse(v1alpha1.SourceSpec, obj, strict=strict)
    if isinstance(parsed, SpecProblem):
        return parsed
    server = parsed.prometheus
    interval = parsed.scrape_interval
    allowed = parsed.allowed_namespaces
    return Source(
        spec=SourceSpec(
            name=name,
            arms=_source_arms(parsed.arms),
            scrape_interval=None if interval is None else parse_duration(interval),
        ),
        connection=Connection(
            address=server.address.rstrip("/"),
            bearer_token=_secret(server.auth.bearer_token if server.auth else None),
            ca=_secret(server.tls.ca if server.tls else None),
            headers=_pairs(server.headers),
            timeout=_seconds(server.timeout, 5.0),
            max_concurrency=8 if server.max_concurrency is None else server.max_concurrency,
        ),
        allowed=None if allowed is None else _pairs(allowed.match_labels),
    )


def to_action(obj: Mapping[str, Any]) -> ActionRequest | None:
    """A `RolloutAction` that still waits for its result; None when it has one or can't be read."""
    meta = mapping(obj, "metadata")
    name, uid = text(meta, "name"), text(meta, "uid")
    if not name or not uid or text(mapping(obj, "status"), "result"):
        return None
    parsed = parse(v1alpha1.ActionSpec, obj, strict=False)
    if isinstance(parsed, SpecProblem):
        return None
    return ActionRequest(
        name=name,
        uid=uid,
        verb=model.ActionVerb(parsed.action),
        created=epoch(text(meta, "creationTimestamp")) or 0.0,
        revision=parsed.revision,
        reason=parsed.reason or "",
    )


def action_target(obj: Mapping[str, Any]) -> model.Key | None:
    """The rollout that a `RolloutAction` is for; None when it names none."""
    key = model.Key(text(mapping(obj, "metadata"), "namespace"), text(mapping(obj, "spec"), "rollout"))
    return key if key.namespace and key.name else None


def _seconds(text: str | None, default: float) -> float:
    return default if text is None else parse_duration(text)


def _number(text: str | None, default: float) -> float:
    return default if text is None else parse_decimal(text)


def _pairs(labels: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((labels or {}).items()))


def _arm(arm: api.Arm, pods: api_traffic.Replicas | None) -> model.Arm:
    known = arm.model
    return model.Arm(
        deployment=arm.deployment,
        service=pods.service if pods is not None else arm.service or arm.deployment,
        model_name=known.name if known else None,
        model_version=known.version if known else None,
    )


def _slis(spec: api.RolloutSpec) -> tuple[model.Sli, ...]:
    usual = _margin(spec.analysis.margin if spec.analysis else None, model.Margin())
    return tuple(_sli(sli, usual) for sli in spec.slis)


def _margin(margin: api_sli.Margin | None, known: model.Margin) -> model.Margin:
    if margin is None:
        return known
    return model.Margin(_number(margin.ratio, known.ratio), _number(margin.difference, known.difference))


def _margin_problem(slis: Sequence[model.Sli]) -> str | None:
    # The schema's rule sees one margin only; half of this one may come from analysis.
    for index, sli in enumerate(slis):
        if sli.allowed is not None and sli.margin.ratio <= 1 and sli.margin.difference == 0:
            return (
                f"spec.slis[{index}].margin: together with analysis.margin the ratio is {sli.margin.ratio:g} and the"
                f" difference 0; {api_sli.UNPROVABLE}"
            )
    return None


def _weight_problem(spec: api.RolloutSpec) -> str | None:
    for index, sli in enumerate(spec.slis):
        adds = "segments" if spec.traffic.segments else "sticky" if spec.traffic.sticky else None
        if sli.counts is not None and sli.counts.per == "Weight" and adds:
            return (
                f'spec.slis[{index}].counts.per: "Weight" needs to know the candidate\'s share of the traffic, and'
                f" traffic.{adds} makes of it what nobody can tell: set Replicas, or remove {adds}"
            )
    return None


def _labels(labels: api_sli.Labels) -> model.Labels:
    known = model.Labels()
    coverage = labels.min_coverage
    return model.Labels(
        min_coverage=known.min_coverage if coverage is None else parse_percent(coverage),
        max_delay=_seconds(labels.max_delay, known.max_delay),
    )


def _sli(sli: api_sli.Sli, margin: model.Margin) -> model.Sli:
    arms, objective = sli.arms, sli.objective
    given = _margin(sli.margin, margin)
    return model.Sli(
        name=sli.name,
        source=_sli_source(sli),
        allowed=None if objective is None else parse_allowed(objective),
        critical=sli.critical is not False,
        threshold=None if sli.threshold is None else parse_duration(sli.threshold),
        arms=model.ArmLabels(arms.label, arms.legacy, arms.candidate) if arms else None,
        margin=given if objective is not None else model.Margin(given.ratio, 0.0),
        labels=None if sli.labels is None else _labels(sli.labels),
    )


def _sli_source(sli: api_sli.Sli) -> model.ProfileRef | model.Counts:
    if sli.profile is not None:
        server, _, name = sli.profile.partition("/")
        return model.ProfileRef(server, name)
    assert sli.counts is not None, "the rule of Sli admits exactly one of profile and counts"
    counts = sli.counts
    if counts.total is None:
        return model.Counts(None, _selector(counts.bad), Exposure(counts.per or Exposure.REPLICAS))
    return model.Counts(_selector(counts.total), _selector(counts.bad))


def _selector(selector: api_sli.Selector) -> model.Selector:
    return model.Selector(selector.metric, equal=_pairs(selector.match))


def _budget(budget: api.ErrorBudget) -> model.ErrorBudget:
    known = model.ErrorBudget()
    share, remaining = budget.rollout_share, budget.min_remaining
    return model.ErrorBudget(
        window=_seconds(budget.window, known.window),
        rollout_share=known.rollout_share if share is None else parse_percent(share),
        min_remaining=known.min_remaining if remaining is None else parse_percent(remaining),
        tiers=_tiers("standard" if budget.burn is None else budget.burn.preset),
    )


def _tiers(preset: Literal["standard"]) -> tuple[model.BurnTier, ...]:
    match preset:
        case "standard":
            return model.STANDARD_TIERS


def _analysis(analysis: api.Analysis, ramp: api_steps.Ramp | None, pods: api_traffic.Replicas | None) -> model.Analysis:
    known = model.Analysis()
    tolerance = analysis.tolerance if ramp is None or ramp.tolerance is None else ramp.tolerance
    no_data = analysis.no_data or api.NoData()
    undecided = analysis.inconclusive or api.Inconclusive()
    return model.Analysis(
        metric_source=analysis.metric_source or known.metric_source,
        interval=_seconds(analysis.interval, known.interval),
        warmup=_seconds(analysis.warmup, known.warmup),
        false_rollback=_number(analysis.false_rollback, known.false_rollback),
        false_promote=_number(analysis.false_promote, known.false_promote),
        tolerance=known.tolerance if tolerance is None else parse_percent(tolerance),
        # A Service spreads connections, and callers keep theirs: the shares of requests are what they are.
        split_holds=analysis.sample_ratio == "Hold" or (analysis.sample_ratio is None and pods is None),
        no_data=_hold(no_data.hold, no_data.then, known.no_data),
        inconclusive=_hold(undecided.hold, undecided.then, known.inconclusive),
    )


def _hold(hold: str | None, then: str | None, default: model.Hold) -> model.Hold:
    return model.Hold(_seconds(hold, default.hold), default.then if then is None else model.Outcome(then))


def _source_arms(arms: api_source.Arms | None) -> ArmsByPod | ArmsByLabel:
    if arms is None or arms.label is None:
        return ArmsByPod()
    return ArmsByLabel(arms.label.name, arms.label.legacy, arms.label.candidate)


def _secret(ref: api_source.SecretRef | None) -> SecretKey | None:
    return None if ref is None else SecretKey(ref.secret, ref.key)

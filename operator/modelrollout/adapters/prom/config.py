"""A `MetricSource` as this adapter needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelrollout.core.observation import SpecProblem
from modelrollout.ports import ArmsByLabel, ArmsByPod

UNUSABLE = "MetricSourceUnusable"
MAX_CONCURRENCY = 64
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_VALUE = re.compile(r"[\t -~]*")
# Framing and target of a request are ours; a source can't change them.
OUR_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "upgrade", "te"}
)
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class SecretRef:
    """One key of a Secret in the operator's namespace."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `matchExpressions` entry: `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it, as Kubernetes defines it."""
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        inside = labels.get(self.key) in self.values
        return inside if self.operator == "In" else not inside


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Address, limits and secrets of one source. Times are seconds.

    `namespaces`: requirements on a namespace's labels, all of which must hold; None allows every namespace.
    """

    name: str
    address: str
    timeout: float = 5.0
    max_concurrency: int = 8
    headers: tuple[tuple[str, str], ...] = ()
    bearer: SecretRef | None = None
    ca: SecretRef | None = None
    arms: ArmsByPod | ArmsByLabel = field(default_factory=ArmsByPod)
    namespaces: tuple[Requirement, ...] | None = None
    scrape_interval: float | None = None
    allow_raw: bool = False


def read_source(obj: Mapping[str, object]) -> SourceConfig | SpecProblem:
    """The configuration in a stored `MetricSource`, or what is wrong with it (field and fix)."""
    metadata = obj.get("metadata")
    name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
    try:
        return _read(name, _mapping(obj, "spec"))
    except _Wrong as wrong:
        return SpecProblem(UNUSABLE, f"MetricSource {name}: {wrong}")


class _Wrong(Exception):
    """A field can't be used; the text names it and the fix."""


def _read(name: str, spec: Mapping[str, object]) -> SourceConfig:
    prometheus = _mapping(spec, "prometheus")
    headers = tuple(
        (key, _text(value, f"prometheus.headers.{key}")) for key, value in _mapping(prometheus, "headers").items()
    )
    concurrency = prometheus.get("maxConcurrency", 8)
    if not isinstance(concurrency, int) or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise _Wrong(f"prometheus.maxConcurrency must be a whole number from 1 to {MAX_CONCURRENCY}")
    return SourceConfig(
        name=name,
        address=_text(prometheus.get("address"), "prometheus.address").rstrip("/"),
        timeout=_duration(prometheus.get("timeout", "5s"), "prometheus.timeout", least=0.1, most=60.0),
        max_concurrency=concurrency,
        headers=headers,
        bearer=_secret(_mapping(prometheus, "auth"), "bearerToken", "prometheus.auth"),
        ca=_secret(_mapping(prometheus, "tls"), "ca", "prometheus.tls"),
        arms=_arms(_mapping(spec, "arms")),
        namespaces=_namespaces(spec),
        scrape_interval=(
            None
            if spec.get("scrapeInterval") is None
            else _duration(spec["scrapeInterval"], "scrapeInterval", least=0.1, most=3600.0)
        ),
        allow_raw=spec.get("allowRawQueries") is True,
    )


def problem_of_headers(config: SourceConfig) -> str | None:
    """What is wrong with the headers, as a sentence that names the header but not its value, or None."""
    for name, value in config.headers:
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            return f"prometheus.headers: {name!r} is no HTTP header of printable ASCII characters"
        if name.lower() in OUR_HEADERS:
            return f"prometheus.headers: {name} is set by the operator; remove it"
        if name.lower() == "authorization" and config.bearer is not None:
            return "prometheus.headers: Authorization comes from prometheus.auth; remove one of them"
    return None


def _mapping(parent: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Wrong(f"{key} must be an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(f"{path} must be a non-empty string")
    return value


def _duration(value: object, path: str, *, least: float, most: float) -> float:
    text = _text(value, path)
    parts = DURATION_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise _Wrong(f"{path} must be a duration such as 5s, not {text!r}")
    seconds = sum(float(number) * UNIT[unit] for number, unit in parts)
    if not least <= seconds <= most:
        raise _Wrong(f"{path} must be from {least:g}s to {most:g}s, not {text}")
    return seconds


def _secret(parent: Mapping[str, object], key: str, path: str) -> SecretRef | None:
    if parent.get(key) is None:
        return None
    ref = _mapping(parent, key)
    return SecretRef(_text(ref.get("secret"), f"{path}.{key}.secret"), _text(ref.get("key"), f"{path}.{key}.key"))


def _arms(arms: Mapping[str, object]) -> ArmsByPod | ArmsByLabel:
    by = arms.get("by", "pod")
    if by == "pod":
        return ArmsByPod()
    if by != "label":
        raise _Wrong("arms.by must be pod or label")
    label = _mapping(arms, "label")
    return ArmsByLabel(*(_text(label.get(key), f"arms.label.{key}") for key in ("name", "legacy", "candidate")))


def _namespaces(spec: Mapping[str, object]) -> tuple[Requirement, ...] | None:
    if spec.get("allowedNamespaces") is None:
        return None
    selector = _mapping(spec, "allowedNamespaces")
    exact = [Requirement(key, "In", (str(value),)) for key, value in _mapping(selector, "matchLabels").items()]
    expressions = selector.get("matchExpressions") or ()
    if not isinstance(expressions, list | tuple):
        raise _Wrong("allowedNamespaces.matchExpressions must be a list")
    return (*exact, *(_expression(entry) for entry in expressions))


def _expression(entry: object) -> Requirement:
    path = "allowedNamespaces.matchExpressions"
    if not isinstance(entry, Mapping):
        raise _Wrong(f"{path} must hold objects")
    operator = entry.get("operator")
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        raise _Wrong(f"{path}[].operator must be In, NotIn, Exists or DoesNotExist")
    values = entry.get("values") or ()
    if not isinstance(values, list | tuple):
        raise _Wrong(f"{path}[].values must be a list")
    return Requirement(_text(entry.get("key"), f"{path}[].key"), operator, tuple(str(value) for value in values))

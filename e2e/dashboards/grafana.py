"""Panels and dashboards, and how Grafana loads them. Data source, namespace and rollout are variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = 24
RUN = 'rollout_namespace=~"$namespace", rollout=~"$rollout"'
EACH = "{{rollout_namespace}}/{{rollout}}"
SOURCE = {"type": "prometheus", "uid": "$datasource"}
ROUND = "rollout_namespace, rollout"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `queries`: expression and legend of each line. `limit`: from where on it is red."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    high: float | None = None
    limit: float | None = None
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page for one kind of reader."""

    name: str
    title: str
    span: str
    panels: tuple[Panel, ...]


def slowest(metric: str, window: str = "5m", *, by: str = "") -> str:
    """99 % of the observations were below this."""
    within = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile(0.99, sum by ({within}) (rate({metric}_bucket[{window}])))"


def text(dashboard: Dashboard) -> str:
    """The dashboard as Grafana loads it."""
    return json.dumps(page(dashboard), indent=1) + "\n"


def page(dashboard: Dashboard) -> Mapping[str, Any]:
    """The same as an object."""
    return {
        "title": dashboard.title,
        "uid": f"modelrollout-{dashboard.name}",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "10s",
        "time": {"from": dashboard.span, "to": "now"},
        "tags": ["modelrollout"],
        "templating": {"list": list(_variables())},
        "panels": list(_placed(dashboard.panels)),
    }


def _variables() -> Iterator[Mapping[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    chosen = {"text": "All", "value": "$__all"}
    for name, query in (
        ("namespace", "label_values(modelrollout_rollout_phase, rollout_namespace)"),
        ("rollout", 'label_values(modelrollout_rollout_phase{rollout_namespace=~"$namespace"}, rollout)'),
    ):
        yield {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": query,
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "current": chosen,
        }


def _placed(panels: Sequence[Panel]) -> Iterator[Mapping[str, Any]]:
    """From left to right, then down."""
    x = y = lowest = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, lowest
        yield _drawn(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height})
        x, lowest = x + panel.width, max(lowest, y + panel.height)


def _drawn(panel: Panel, number: int, place: Mapping[str, int]) -> Mapping[str, Any]:
    shape = {"stat": "time_series", "table": "table", "barchart": "table"}.get(panel.kind)
    once = {"instant": True, "range": False, "format": shape} if shape else {}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.high is not None:
        defaults["max"] = panel.high
    if panel.limit is not None:
        colours = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": colours}
    if panel.kind == "timeseries":
        lines: dict[str, Any] = {"lineInterpolation": "stepAfter"} if panel.steps else {}
        lines |= {"thresholdsStyle": {"mode": "dashed"}} if panel.limit is not None else {}
        defaults["custom"] = lines
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend, **once}
        for index, (expr, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }

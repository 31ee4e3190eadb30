"""Files of the chart agree with each other, with the CRDs and with the reference; no helm needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from e2e.chart import CHART, leaves, outdated
from e2e.dashboards import DASHBOARDS
from e2e.dashboards.grafana import Dashboard, page, text
from tests.layout.documents import DOCS, ROOT

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
METRIC = re.compile(r"modelrollout_[a-z_]+")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def test_copies_and_readme_are_current() -> None:
    assert outdated() == []


def test_defaults_are_what_the_schema_allows() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def test_every_value_is_described_and_has_a_default() -> None:
    described = [name for name, field, _ in leaves(SCHEMA, VALUES) if field["description"].endswith(".")]
    assert described == list(names(VALUES, SCHEMA))


def names(values: Mapping[str, Any], schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        field = schema["properties"][name]
        if "properties" in field:
            yield from names(value, field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_no_map_takes_unknown_keys() -> None:
    def closed(schema: Mapping[str, Any]) -> bool:
        return "properties" not in schema or (
            schema["additionalProperties"] is False and all(closed(field) for field in schema["properties"].values())
        )

    assert closed(SCHEMA)


@pytest.mark.parametrize("name", ["rules.yaml", "executive.json", "oncall.json", "debug.json"])
def test_alerts_and_dashboards_ask_for_metrics_that_there_are(name: str) -> None:
    known = set(METRIC.findall((DOCS / "reference" / "metrics.md").read_text()))
    asked = {SUFFIX.sub("", metric) for metric in METRIC.findall((CHART / "monitoring" / name).read_text())}
    assert len(asked) > 4
    assert asked <= known


def test_every_alert_leads_to_a_runbook_of_its_own() -> None:
    rules = yaml.safe_load((CHART / "monitoring" / "rules.yaml").read_text())["groups"][0]["rules"]
    assert len(rules) > 5
    runbooks = [rule["annotations"]["runbook"] for rule in rules]
    assert len(set(runbooks)) == len(runbooks)
    for each in runbooks:
        written = (ROOT / each).read_text()
        assert "**Meaning.**" in written
        assert "**Impact.**" in written


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_panels_do_not_overlap(dashboard: Dashboard) -> None:
    squares = [
        (x, y)
        for at in (panel["gridPos"] for panel in page(dashboard)["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(squares) == len(set(squares))
    assert max(x for x, _ in squares) < 24


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_a_dashboard_works_in_any_grafana(dashboard: Dashboard) -> None:
    made = page(dashboard)
    assert [each["name"] for each in made["templating"]["list"]] == ["datasource", "namespace", "rollout"]
    assert "__inputs" not in made
    assert made["editable"] is False
    for panel in made["panels"]:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"$datasource"}


def test_dashboards_have_ids_of_their_own() -> None:
    pages = [page(each) for each in DASHBOARDS]
    assert len({each["uid"] for each in pages}) == len({each["title"] for each in pages}) == 3
    for each in pages:
        ids = [panel["id"] for panel in each["panels"]]
        assert len(ids) == len(set(ids))


def test_every_metric_is_on_a_dashboard() -> None:
    known = set(METRIC.findall((DOCS / "reference" / "metrics.md").read_text()))
    shown = {SUFFIX.sub("", name) for each in DASHBOARDS for name in METRIC.findall(text(each))}
    assert known - shown == set()

"""Manifests as files: several documents, lists, and what is wrong with them in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.cli.manifest import load, load_all
from modelrollout.errors import SpecError
from tests.layout.documents import ROOT

ROLLOUT = yaml.safe_load((ROOT / "examples" / "smallest.yaml").read_text())


def source(name: str) -> dict[str, Any]:
    return {
        "kind": "MetricSource",
        "metadata": {"name": name},
        "spec": {"prometheus": {"address": "http://prometheus:9090"}, "scrapeInterval": "15s"},
    }


def file(tmp_path: Path, *objects: object) -> Path:
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


def test_the_source_that_the_rollout_names_comes_with_it(tmp_path: Path) -> None:
    found = load(file(tmp_path, source("other"), None, ROLLOUT, source("default"), "text"))
    assert str(found.spec.key) == "serving/fraud"
    assert found.source is not None
    assert (found.source.name, found.source.scrape_interval) == ("default", 15.0)
    assert load(file(tmp_path, ROLLOUT, source("other"))).source is None


def test_lists_as_kubectl_prints_them_are_read(tmp_path: Path) -> None:
    path = file(tmp_path, {"kind": "List", "items": [ROLLOUT, {**ROLLOUT, "metadata": {"name": "b"}}, 3]})
    assert [str(each.spec.key) for each in load_all(path)] == ["serving/fraud", "default/b"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "is no YAML (ParserError at line 1)"),
        ("\t- x", "is no YAML (ScannerError at line 1)"),
        ("kind: Service\n", "must hold one ModelRollout, holds 0"),
        ("", "must hold one ModelRollout, holds 0"),
        ("kind: ModelRollout\n", "ModelRollout without a name: metadata: name and namespace must be set"),
        ("kind: ModelRollout\nmetadata: {name: 7}\n", "ModelRollout '7': metadata: name and namespace must be set"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_all(path)
    assert str(caught.value) == f"{path}: {complaint}"


def test_bytes_that_are_no_text_are_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="is no YAML"):
        load_all(path)


def test_a_source_that_is_wrong_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"MetricSource 'default': spec\.nonsense: unknown field"):
        load_all(file(tmp_path, ROLLOUT, {**source("default"), "spec": {**source("default")["spec"], "nonsense": 1}}))


def test_one_is_asked_for_and_there_are_two(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="must hold one ModelRollout, holds 2"):
        load(file(tmp_path, ROLLOUT, ROLLOUT))
    with pytest.raises(SpecError, match="No such file or directory; name a manifest"):
        load(tmp_path / "nosuch.yaml")

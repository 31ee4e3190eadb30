"""The packaged chart: the same bytes whenever it is made, and the same objects as the chart in the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from e2e.chart import CHART, IMAGE, Refused, rendered, run
from e2e.release import package

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(600)]

FLAGS = ("--namespace", "modelrollout", "--set", f"image.repository={IMAGE}", "--set", "scope=cluster")


def test_a_package_is_the_same_whenever_it_is_made_and_installs_the_same(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "modelrollout"
    shutil.copytree(CHART, other)
    for path in other.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    first, second = package(CHART, one), package(other, two)
    assert first.name == f"modelrollout-{yaml.safe_load((CHART / 'Chart.yaml').read_text())['version']}.tgz"
    assert first.read_bytes() == second.read_bytes()
    packed = [obj for obj in yaml.safe_load_all(run("template", "modelrollout", str(first), *FLAGS)) if obj]
    assert packed == rendered(*FLAGS[2:])
    assert "modelrollout" in run("show", "readme", str(first))


def test_a_chart_that_helm_finds_wrong_is_not_packed(tmp_path: Path) -> None:
    broken = tmp_path / "modelrollout"
    shutil.copytree(CHART, broken)
    (broken / "templates" / "broken.yaml").write_text("a: [")
    with pytest.raises(Refused, match=r"broken\.yaml"):
        package(broken, tmp_path)
    assert not list(tmp_path.glob("*.tgz"))

"""`doctor` against a real API server and the real kubectl: with all rights, and as somebody who has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.chart import CHART, IMAGE, rendered
from e2e.cluster.apiserver import ApiServer
from modelrollout.cli.installed import SELECTOR, operators
from tests.apiserver.cli.test_commands import Shell

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]
NOBODY = "nobody"


def states(printed: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in json.loads(printed)["findings"]:
        found.setdefault(each["check"], []).append(each["state"])
    return found


def test_a_cluster_without_an_operator(server: ApiServer, tmp_path: Path) -> None:
    code, out, err = Shell(server.kubeconfig, tmp_path).types("doctor", "-n", "default", "-o", "json")
    assert (code, err) == (1, "")
    found = states(out)
    assert found["clock"] == found["crds"] == found["crd fields"] == ["ok"]
    assert found["your right to read"] == found["your right to order"] == ["ok"]
    assert (found["operator"], found["leader"]) == (["warning"], ["error"])


def powerless(server: ApiServer, path: Path) -> Path:
    """Credentials of an account that was given no rights."""
    server.kubectl("create", "serviceaccount", NOBODY, "-n", "default")
    config: Any = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": server.kubectl("create", "token", NOBODY, "-n", "default").stdout.strip()}
    path.write_text(yaml.safe_dump(config))
    return path


def test_what_may_not_be_read_is_not_known(server: ApiServer, tmp_path: Path) -> None:
    shell = Shell(powerless(server, tmp_path / "config"), tmp_path)
    code, out, err = shell.types("doctor", "-n", "default", "-o", "json")
    assert (code, err) == (1, "")
    found = states(out)
    for check in ("crd fields", "operator", "leader", "rollouts", "metric source"):
        assert found[check] == ["not known"], check
    assert found["your right to read"] == ["error"]
    assert found["crds"] == ["ok"], "everybody may see which kinds are served"
    told = next(each for each in json.loads(out)["findings"] if each["check"] == "your right to read")
    assert told["text"] == "refused: get, list, watch modelrollouts.modelrollout.dev in default"


def test_the_operator_of_the_chart_is_recognised() -> None:
    """By its labels and environment, as helm renders them: another name of one of them hides every operator."""
    flags = ("--set", f"image.repository={IMAGE}", "--set", "namespaces={serving,shop}")
    objects = rendered(*flags, release="mine", namespace="ml")
    (found,) = operators(each for each in objects if each["kind"] == "Deployment")
    (account,) = (each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount")
    app = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert (found.namespace, found.account, found.version, found.lease) == ("ml", account, app, found.name)
    assert (found.namespaces, found.serves("shop"), found.serves("other")) == (("serving", "shop"), True, False)
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    labels = deployment["metadata"]["labels"]
    assert dict([SELECTOR.split("=")]).items() <= labels.items()

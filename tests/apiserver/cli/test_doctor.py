"""`doctor` against a real API server and the real kubectl: with all rights, and as somebody who has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.apiserver import ApiServer
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

"""The commands that install, run and remove the operator, in the order of the pages."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest

from e2e.cluster.apiserver import ApiServer
from tests.apiserver.docs.conftest import LISTED, ROOT, Reader
from tests.apiserver.shell.cluster import wait_until, web_address
from tests.layout.documents import blocks

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

PAGE = ROOT / "docs" / "how-to" / "run-the-operator.md"


def listed(part: str) -> str:
    """The one command of group `operator` that has this part."""
    (found,) = (command for command in LISTED["operator"] if part in command)
    return found


def test_install_run_and_remove(server: ApiServer, reader: Reader, tmp_path: Path) -> None:
    typed = [listed("apply"), listed("wait"), listed("modelrollout run"), listed("delete")]
    assert sorted(typed) == sorted(LISTED["operator"])

    applied = reader.types(typed[0]).splitlines()
    assert len(applied) == 4
    assert all(line.endswith("serverside-applied") for line in applied)
    assert reader.types(typed[1]).count("condition met") == 4
    (source,) = (block.text for block in blocks(PAGE) if block.language == "yaml" and "MetricSource" in block.text)
    (tmp_path / "source.yaml").write_text(source)
    assert "metricsource.modelrollout.dev/default created" in reader.types(f"kubectl apply -f {tmp_path}/source.yaml")

    log = tmp_path / "operator.log"
    log.touch()
    # Only the port differs from what the page prints: it must be free on this machine.
    with reader.begins(f"exec {typed[2]} >{log} 2>&1", MODELROLLOUT_WEB="127.0.0.1:0") as operator:
        try:
            wait_until(lambda: ready(operator, log), limit=60, why="operator is ready")
            assert "Traceback" not in log.read_text()
            holder = "kubectl -n default get lease modelrollout-operator -o jsonpath='{.spec.holderIdentity}'"
            wait_until(lambda: bool(reader.types(holder)), limit=20, why="it leads")
        finally:
            operator.terminate()
        assert operator.wait(30) == 0

    assert reader.types(typed[3]).count("deleted") == 4
    assert "modelrollout.dev" not in reader.types("kubectl get crds -o name")


def ready(operator: subprocess.Popen[str], log: Path) -> bool:
    assert operator.poll() is None, log.read_text()
    found = web_address(log.read_text())
    if not found:
        return False
    try:
        with urllib.request.urlopen(f"{found}/readyz", timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False

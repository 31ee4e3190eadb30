"""The command line against a real API server, with the real kubectl: reads, orders, waits, and what goes wrong."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import programs
from e2e.cluster.apiserver import ApiServer, apiserver
from tests.apiserver.conftest import Resources
from tests.unit.cli.scenes import scene

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]
LIMIT = 60.0


class Shell:
    """A user who types `kubectl modelrollout ...`."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        venv = Path(sys.executable).parent
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("KUBE")},
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{programs.kubernetes()}:{venv}:/usr/bin:/bin",
            "COLUMNS": "120",
        }

    def types(self, *arguments: str) -> tuple[int, str, str]:
        with self.begins(*arguments) as process:
            out, err = process.communicate(timeout=LIMIT)
        return process.returncode, out, err

    def runs(self, *command: str) -> str:
        """What a command prints that ends well."""
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def begins(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["kubectl", "modelrollout", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def shell(server: ApiServer, tmp_path: Path) -> Shell:
    return Shell(server.kubeconfig, tmp_path)


def stored(resources: Resources, name: str, of: str) -> dict[str, Any]:
    """A recorded rollout as an object of namespace default, with its status."""
    obj = copy.deepcopy(scene(of)[0])
    obj["metadata"] = {"name": name, "namespace": "default"}
    status = obj.pop("status")
    resources.create(obj)
    return resources.patch("ModelRollout", name, {"status": status}, status=True)


@pytest.fixture(scope="module")
def rollouts(server: ApiServer, resources: Resources) -> Iterator[None]:
    stored(resources, "promoted", "promoted")
    stored(resources, "back", "1-errors")
    yield
    server.kubectl("delete", "mr", "promoted", "back", "next", "-n", "default", "--ignore-not-found")
    server.kubectl("delete", "mra", "--all", "-n", "default")


def test_list_and_get_and_explain(rollouts: None, shell: Shell) -> None:
    code, out, err = shell.types("list", "-A")
    assert (code, err) == (0, "")
    rows = [line.split()[:5] for line in out.splitlines()[1:]]
    assert ["default", "back", "RolledBack", "0/4", "0%"] in rows
    assert ["default", "promoted", "Promoted", "4/4", "100%"] in rows
    assert shell.types("list")[1].splitlines()[0].startswith("NAME")
    code, out, _ = shell.types("get", "back", "-n", "default")
    assert code == 0
    assert "default/back" in out
    assert "RolledBack (BudgetBurn), step 0/4" in out
    assert "fraud-v8: 0 %" in out
    assert json.loads(shell.types("get", "back", "-o", "json")[1])["metadata"]["name"] == "back"
    assert shell.types("get", "back", "-o", "name")[1] == "modelrollout.modelrollout.dev/back\n"
    assert "kubectl modelrollout retry back -n default" in shell.types("explain", "back")[1]
    assert "burns over 12x" in shell.types("history", "back")[1]


def test_status_and_wait_answer_in_the_exit_code(rollouts: None, shell: Shell) -> None:
    assert shell.types("status", "promoted")[0] == 0
    assert shell.types("status", "back")[0] == 3
    assert shell.types("wait", "promoted")[0] == 0
    code, out, err = shell.types("wait", "back", "--for", "promoted")
    assert (code, out) == (3, "")
    assert "was rolled back: errors: burns over 12x" in err
    assert shell.types("wait", "back", "--for", "rolled-back")[0] == 0
    assert shell.types("wait", "promoted", "--revision", "abc", "--timeout", "1s")[0] == 4


def test_a_wait_sees_the_next_version_end_and_not_the_last(resources: Resources, shell: Shell, rollouts: None) -> None:
    """The race of pipelines: `Promoted=True` of the last version still stands when the wait for the next one begins."""
    first = stored(resources, "next", "promoted")
    changed = resources.patch("ModelRollout", "next", {"spec": {"candidateDeadline": "7m"}})
    generation = changed["metadata"]["generation"]
    assert generation > first["metadata"]["generation"]
    with shell.begins("wait", "next", "--timeout", "50s") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("next: Promoted"), "it has seen the old end"
        assert process.poll() is None, "and does not take it for the new one"
        conditions = [{**each, "observedGeneration": generation} for each in first["status"]["conditions"]]
        status = {"observedGeneration": generation, "conditions": conditions}
        resources.patch("ModelRollout", "next", {"status": status}, status=True)
        out, _ = process.communicate(timeout=LIMIT)
    assert (process.returncode, out.endswith("is promoted\n")) == (0, True)


def test_an_order_is_stored_and_its_answer_waited_for(
    resources: Resources, shell: Shell, server: ApiServer, rollouts: None
) -> None:
    with shell.begins(
        "abort", "promoted", "--reason", "tickets", "--wait", "--timeout", "50s", "-n", "default"
    ) as process:
        found: list[dict[str, Any]] = []
        while not found and process.poll() is None:
            stored = json.loads(server.kubectl("get", "mra", "-n", "default", "-o", "json").stdout)["items"]
            found = [each for each in stored if each["spec"]["rollout"] == "promoted"]  # the server is shared
        (action,) = found
        assert action["metadata"]["name"].startswith("promoted-abort-")
        assert action["spec"] == {"rollout": "promoted", "action": "Abort", "reason": "tickets"}
        answer = {"status": {"result": "Applied", "message": "traffic goes back to legacy"}}
        resources.patch("RolloutAction", action["metadata"]["name"], answer, status=True)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err) == (0, "")
    assert out == "Abort of promoted applied: traffic goes back to legacy\n"


def test_dry_runs_store_nothing(shell: Shell, server: ApiServer, rollouts: None) -> None:
    before = server.kubectl("get", "mra", "-n", "default", "-o", "name").stdout
    code, out, _ = shell.types("pause", "promoted", "--dry-run", "server")
    assert (code, out) == (0, "Pause of promoted would be accepted (server dry run)\n")
    assert "action: Pause" in shell.types("pause", "promoted", "--dry-run", "client")[1]
    code, _, err = shell.types("pause", "promoted", "--dry-run", "server", "--revision", "NOT-A-HASH")
    assert code == 1
    assert "revision" in err
    assert server.kubectl("get", "mra", "-n", "default", "-o", "name").stdout == before


def test_what_goes_wrong_is_one_sentence(shell: Shell, rollouts: None, server: ApiServer, tmp_path: Path) -> None:
    def complains(*arguments: str) -> str:
        code, out, err = shell.types(*arguments)
        assert (code, out, err.count("\n")) == (1, "", 1), err
        return err

    assert 'error: ModelRollout "nobody" not found in namespace default; ' in complains(
        "get", "nobody", "-n", "default"
    )
    assert 'ModelRollout "nobody" not found' in complains("abort", "nobody", "-n", "default")
    assert 'context "nowhere" does not exist' in complains("list", "--context", "nowhere")
    assert "can't be read" in complains("list", "--kubeconfig", str(tmp_path / "nothing"))
    dead = tmp_path / "dead"
    dead.write_text(server.kubeconfig.read_text().replace(server.url, "https://127.0.0.1:1"))
    assert "no cluster can be reached (127.0.0.1:1 refuses connections)" in complains("list", "--kubeconfig", str(dead))


def test_who_may_not_is_told_what_he_lacks(shell: Shell, server: ApiServer, tmp_path: Path) -> None:
    mine, found = tmp_path / "jane", yaml.safe_load(server.kubeconfig.read_text())
    for each in found["users"]:
        each["user"]["as"] = "jane"
    mine.write_text(yaml.safe_dump(found))
    code, _, err = shell.types("list", "-n", "default", "--kubeconfig", str(mine))
    assert code == 1
    assert 'forbidden: User "jane" cannot list resource "modelrollouts"' in err


def test_a_cluster_without_the_crds(tmp_path: Path) -> None:
    with apiserver() as bare:
        shell = Shell(bare.kubeconfig, tmp_path)
        for command in (("list",), ("get", "x"), ("abort", "x")):
            code, _, err = shell.types(*command)
            assert (code, err.count("\n")) == (1, 1)
            assert "this cluster has no ModelRollouts: choose another with --context, or install the CRDs" in err


def test_kubectl_completes_names_and_its_alias_is_the_same_program(rollouts: None, shell: Shell) -> None:
    """As a shell asks: kubectl hands the line to `kubectl_complete-modelrollout` on PATH."""
    for plugin in ("modelrollout", "mr"):
        asked = ["kubectl", "__complete", plugin, "get", "-n", "default", "p"]
        assert shell.runs(*asked).split() == ["promoted", ":4"]
    template = "jsonpath={.status.phase} {.metadata.name}"
    assert shell.runs("kubectl", "mr", "get", "promoted", "-n", "default", "-o", template) == "Promoted promoted"

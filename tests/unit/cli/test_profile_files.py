"""Commands without a cluster, and profiles of one: from a file of their own, from the manifest, through kubectl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from modelrollout.cli.main import app
from tests.layout.documents import ROOT
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.test_profiles import serving

EXAMPLE = ROOT / "examples" / "sli-profile.yaml"
PROFILE: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "80"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rollout(profile: str = "acme-scorer/errors", **sli: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "smallest.yaml").read_text())
    found["spec"]["slis"] = [{"name": "availability", "profile": profile, "objective": "99", **sli}]
    return found


def file(place: Path, *objects: dict[str, Any], name: str = "m.yaml") -> Path:
    path = place / name
    path.write_text(yaml.safe_dump_all(objects))
    return path


def broken() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(PROFILE))
    found["metadata"]["name"] = "broken"
    found["spec"]["slis"][0]["bad"][0]["matchRegex"]["status"] = "[z-a]"
    return found


def test_lint_takes_profiles_from_its_files_and_from_an_option(tmp_path: Path) -> None:
    manifest = file(tmp_path, rollout())
    result = run("lint", manifest)
    assert result.exit_code == 5
    line = [each for each in manifest.read_text().splitlines()].index("    profile: acme-scorer/errors") + 1
    assert result.stdout.startswith(
        f'{manifest}:{line}: ModelRollout "fraud": spec.slis[0].profile: acme-scorer/errors is'
    )
    assert "put its SliProfile into the same file, or name its file with --profiles" in result.stdout
    assert run("lint", manifest, "--profiles", EXAMPLE).exit_code == 0
    assert run("lint", manifest, EXAMPLE).exit_code == 0
    assert run("lint", file(tmp_path, rollout(), PROFILE)).stdout == "nothing is wrong in 2 of our objects\n"


@pytest.mark.parametrize(
    ("made", "field", "problem"),
    [
        (rollout("acme-scorer/eror"), "profile", "acme-scorer has no 'eror'; it has: errors, latency"),
        (rollout("acme-scorer/ttft"), "profile", "acme-scorer has no 'ttft': it answers in one piece; take latency"),
        (rollout("acme-scorer/latency"), "threshold", "must be set for profile acme-scorer/latency, such as 300ms"),
        (rollout("vllm/eror"), "profile", "vllm has no 'eror'"),
        (
            rollout("kube-state-metrics/x"),
            "profile",
            "kube-state-metrics has no 'x'; it has: none that judges a candidate",
        ),
    ],
)
def test_lint_knows_what_a_profile_has(tmp_path: Path, made: dict[str, Any], field: str, problem: str) -> None:
    result = run("lint", "-o", "json", file(tmp_path, made), "--profiles", EXAMPLE)
    (found,) = json.loads(result.stdout)["problems"]
    assert (result.exit_code, found["field"]) == (5, f"spec.slis[0].{field}")
    assert problem in found["problem"]


def test_whether_a_metric_source_tells_arms_apart_is_no_matter_of_lint(tmp_path: Path) -> None:
    assert run("lint", file(tmp_path, rollout("traefik/errors"))).exit_code == 0


def test_lint_looks_at_profiles_too(tmp_path: Path) -> None:
    result = run("lint", file(tmp_path, broken()))
    assert result.exit_code == 5
    assert "SliProfile \"broken\": spec.slis[0].bad[0].matchRegex.status: '[z-a]' is no regular" in result.stdout
    taken = json.loads(json.dumps(PROFILE))
    taken["metadata"]["name"] = "vllm"
    assert "is a profile that comes with modelrollout" in run("lint", file(tmp_path, taken)).stdout
    unknown = json.loads(json.dumps(PROFILE))
    unknown["spec"]["slis"][0]["query"] = "up"
    assert "spec.slis[0].query: unknown field" in run("lint", file(tmp_path, unknown)).stdout


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (None, "No such file or directory; name a file that can be read"),
        ([rollout()], "must hold a SliProfile, holds none"),
        ([broken()], "is no regular expression"),
    ],
)
def test_a_file_of_profiles_that_is_none_is_told(tmp_path: Path, made: list[dict[str, Any]] | None, says: str) -> None:
    path = tmp_path / "none.yaml" if made is None else file(tmp_path, *made, name="p.yaml")
    manifest = file(tmp_path, rollout())
    for arguments in (
        ("lint", manifest, "--profiles", path),
        ("plan", manifest, "--rate", "20", "--profiles", path),
        ("profiles", "list", "--file", path),
    ):
        result = run(*arguments)
        assert result.exit_code in (1, 5)
        assert says in result.stderr
        assert str(path) in result.stderr


def test_plan_and_simulate_take_profiles_from_a_file_or_from_the_manifest(tmp_path: Path) -> None:
    made = rollout()
    made["spec"]["steps"] = [{"weight": 50, "minDuration": "1m"}, {"weight": 100, "minDuration": "1m"}]
    alone, both = file(tmp_path, made), file(tmp_path, made, PROFILE, name="both.yaml")
    for command in (("plan", "--rate", "50"), ("simulate", "--seed", "1")):
        name, *flags = command
        refused = run(name, alone, *flags)
        assert refused.exit_code == 5
        assert "acme-scorer/errors is no built-in profile" in refused.stderr
        given = run(name, alone, *flags, "--profiles", EXAMPLE)
        assert given.exit_code == 0, given.output
        assert run(name, both, *flags).stdout == given.stdout


def test_a_sick_candidate_is_taken_back_by_a_profile_of_the_cluster_in_virtual_time_too(tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("regressions: [{sli: errors, from: {weight: 5}, difference: 30%}]\n")
    result = run("simulate", file(tmp_path, rollout(), PROFILE), "--scenario", scenario, "--runs", "2", "-o", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outcomes"]["reverted"]["runs"] == 2


def test_list_and_show_know_those_of_a_file() -> None:
    assert "acme-scorer" not in run("profiles", "list").stdout
    listed = run("profiles", "list", "--file", EXAMPLE).stdout
    assert "acme-scorer" in listed
    assert "vllm" in listed
    shown = run("profiles", "show", "acme-scorer", "--file", EXAMPLE)
    assert shown.exit_code == 0
    assert "scorer_requests_total or scorer_request_count" in shown.stdout
    assert run("profiles", "show", "acme-scorer").exit_code == 2


def test_check_of_a_file_is_about_its_profiles(tmp_path: Path) -> None:
    labels = {"__name__": "scorer_request_count", "path": "/v1/score", "status": "200"}
    with serving(labels) as server:
        result = run("profiles", "check", "--prometheus", server.url, "--file", EXAMPLE, "-o", "json")
    (found,) = json.loads(result.stdout)["profiles"]
    assert (result.exit_code, found["server"], found["fits"]) == (0, "acme-scorer", True)
    fits = {each["name"]: each["fits"] for each in found["slis"]}
    assert fits == {"errors": True, "latency": False}


def test_those_of_a_cluster_come_through_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl.install(tmp_path / "bin", monkeypatch)
    newer = json.loads(json.dumps(PROFILE))
    newer["spec"]["ofALaterRelease"] = True
    kubectl.answers(json.dumps({"kind": "List", "items": [newer, broken()]}))
    result = run("profiles", "list", "--context", "prod", "-o", "json")
    assert result.exit_code == 0, result.output
    assert "acme-scorer" in {each["server"] for each in json.loads(result.stdout)["profiles"]}
    assert "left out: cluster: SliProfile 'broken'" in result.stderr
    assert "--context=prod" in kubectl.calls[0]
    assert "get sliprofiles.modelrollout.dev" in kubectl.calls[0]
    kubectl.answers("", said='error: the server doesn\'t have a resource type "sliprofiles"', code=1)
    refused = run("profiles", "show", "acme-scorer", "--cluster")
    assert refused.exit_code == 1
    assert "install the CRDs" in refused.stderr


def test_nobody_asks_a_cluster_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl.install(tmp_path / "bin", monkeypatch)
    assert run("profiles", "list").exit_code == 0
    assert kubectl.calls == []

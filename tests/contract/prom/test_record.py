"""`modelrollout record` on a real Prometheus: what was scraped is in the file, and a replay of it decides on it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from e2e.cluster.prometheus import Prometheus
from e2e.cluster.remote_write import Sample, stale
from modelrollout.adapters.prom.connect import Limits
from modelrollout.adapters.prom.ranges import RangeReader
from modelrollout.cli.main import app
from modelrollout.ports import SeriesQuery
from modelrollout.sim.recording import Stored, read

pytestmark = pytest.mark.prometheus

SCRAPE = 5
LENGTH = 1800
RATE = 500
"""Requests of each arm between two scrapes; one in a thousand is bad."""


def manifest(path: Path, metric: str) -> Path:
    total = {"metric": metric}
    spec = {
        "legacy": {"deployment": "fraud-v7"},
        "candidate": {"deployment": "fraud-v8"},
        "traffic": {"managedRoute": {"parentRefs": [{"name": "public", "namespace": "infra"}]}},
        "steps": [{"weight": 5}, {"weight": 50}, {"weight": 100}],
        "slis": [
            {
                "name": "availability",
                "objective": "99",
                "counts": {"total": total, "bad": {**total, "match": {"code": "500"}}},
            }
        ],
    }
    meta = {"name": "fraud", "namespace": "serving"}
    path.write_text(
        yaml.safe_dump(
            {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "ModelRollout", "metadata": meta, "spec": spec}
        )
    )
    return path


def scraped(prometheus: Prometheus, metric: str, *, start: int) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Two pods, two codes each, with a restart of the candidate's in the middle, and a pod of somebody else."""
    made: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for pod, code in (
        (pod, code) for pod in ("fraud-v7-5d9c7b6f4-aaaaa", "fraud-v8-5d9c7b6f4-bbbbb") for code in ("200", "500")
    ):
        step = RATE if code == "200" else 0.5
        turns = range(LENGTH // SCRAPE + 1)
        half = LENGTH // SCRAPE // 2 if "v8" in pod else 10**9
        made[pod, code] = [(float(start + SCRAPE * k), float(int(step * (k if k < half else k - half)))) for k in turns]
    samples = [
        Sample(metric, {"namespace": "serving", "pod": pod, "code": code}, value, at)
        for (pod, code), values in made.items()
        for at, value in values
    ]
    samples.append(Sample(metric, {"namespace": "serving", "pod": "other-1-x", "code": "200"}, 1.0, float(start)))
    samples.append(Sample("up", {"namespace": "serving", "pod": "fraud-v7-5d9c7b6f4-aaaaa"}, 1.0, float(start)))
    prometheus.write(samples)
    return made


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def of(series: tuple[Stored, ...], pod: str, code: str) -> list[tuple[float, float]]:
    (found,) = [s for s in series if (s.labels.get("pod"), s.labels.get("code")) == (pod, code)]
    return list(zip(found.times, found.values, strict=True))


def test_what_was_scraped_is_recorded_and_replayed(prometheus: Prometheus, metric: str, tmp_path: Path) -> None:
    start = int(time.time()) - LENGTH - 60
    made = scraped(prometheus, metric, start=start)
    path = manifest(tmp_path / "m.yaml", metric)
    where = ("--prometheus", prometheus.url, "--start", start - 1, "--end", start + LENGTH, "--out", tmp_path)
    code, out, err = run("record", path, *where)
    assert (code, err) == (0, "")
    target = tmp_path / "fraud.jsonl"
    assert out == f"{target}: {4 * (LENGTH // SCRAPE + 1) + 1} samples of 5 series of serving/fraud, {LENGTH + 1} s\n"
    with target.open("rb") as file:
        found = read(file)
    assert (found.header.scrape, found.header.start) == (SCRAPE, start - 1)
    assert {(s.labels["__name__"], s.labels["pod"][:8]) for s in found.series} == {
        (metric, "fraud-v7"),
        (metric, "fraud-v8"),
        ("up", "fraud-v7"),
    }
    for (pod, status), samples in made.items():
        assert of(found.series, pod, status) == samples
    assert len(target.read_text().splitlines()) > 3 * 4, "one line for each stretch of a series"

    assert run("record", path, *where, "-o", "csv")[0] == 0
    rows = (tmp_path / "fraud.csv").read_text().splitlines()
    assert rows[0] == "time,arm,sli,total,bad"
    counted = {(row.split(",")[1], row.split(",")[3]) for row in rows[100:160]}
    assert counted <= {(arm, str(n)) for arm in ("legacy", "candidate") for n in (RATE, RATE + 1)}

    answers = [
        json.loads(run("replay", "-o", "json", *arguments, path)[1])
        for arguments in (("--data", target), ("--csv", tmp_path / "fraud.csv"))
    ]
    for answer in answers:
        assert answer["outcome"] == "Promoted"
        assert [a["action"] for d in answer["decisions"] for a in d["actions"]] == [
            "Raise",
            "Raise",
            "Raise",
            "Promote",
        ]
    # The first scrape has no base, so the two differ by one at the most.
    samples_answer, csv_answer = (answer["recorded"][0]["legacy"]["total"] for answer in answers)
    assert abs(samples_answer - csv_answer) <= 2 * RATE


def test_nothing_is_written_when_there_is_nothing(prometheus: Prometheus, metric: str, tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.yaml", metric)
    code, out, err = run(
        "record", path, "--prometheus", prometheus.url, "--start", "now-1h", "--out", tmp_path / "x.jsonl"
    )
    assert (code, out) == (1, "")
    assert err.startswith("error: there is no sample of the SLIs' metrics from the pods of legacy or candidate")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.yaml"]


def test_answers_that_are_too_large_are_asked_for_in_smaller_parts(prometheus: Prometheus, metric: str) -> None:
    start = int(time.time()) - LENGTH - 60
    made = scraped(prometheus, metric, start=start)
    whole = RangeReader(prometheus.url)
    assert len(list(whole.read(SeriesQuery((metric,), 1.0), start - 1.0, start + 599.0))) == 1
    whole.close()
    reader = RangeReader(prometheus.url, limits=Limits(answer=6000))
    stretches = list(reader.read(SeriesQuery((metric,), 1.0), start - 1.0, start + 600.0))
    reader.close()
    assert max(s.end - s.start for s in stretches) <= 300
    assert [s.start for s in stretches[1:]] == [s.end for s in stretches[:-1]]
    found = [
        x
        for s in stretches
        for one in s.series
        if one.labels["pod"][:8] == "fraud-v7" and one.labels["code"] == "200"
        for x in one.samples
    ]
    assert found == [x for x in made["fraud-v7-5d9c7b6f4-aaaaa", "200"] if x[0] <= start + 600]


def test_markers_of_staleness_are_no_samples(prometheus: Prometheus, metric: str) -> None:
    at = float(int(time.time()) - 100)
    labels = {"namespace": "serving", "pod": "p"}
    prometheus.write([Sample(metric, labels, 5.0, at), Sample(metric, labels, stale(), at + 5)])
    reader = RangeReader(prometheus.url)
    (stretch,) = reader.read(SeriesQuery((metric,), 1.0), at - 1, at + 10)
    reader.close()
    (one,) = stretch.series
    assert (one.samples, one.rejected) == (((at, 5.0),), ())

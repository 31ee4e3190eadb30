"""The commands of the documentation that need no cluster, run as a reader would, in a checkout with the files named."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layout.documents import DOCS, ROOT
from tests.unit.cli.test_record import answer
from tests.unit.cli.test_replay_data import counts
from tests.unit.prom.misbehaving import Misbehaving
from tests.unit.sim.test_journal import under_way, written

OFFLINE: list[str] = tomllib.loads((DOCS / "commands.toml").read_text())["offline"]
LIMIT = 60.0
PLAN = ".venv/bin/modelrollout plan examples/smallest.yaml"
CHECK = ".venv/bin/modelrollout profiles check --file examples/sli-profile.yaml --prometheus $PROMETHEUS"
REFUSED = {
    f"{PLAN} --rate 2 --error-rate 0.0005 --regression 3 --regression dead": 6,
    f"{CHECK} --namespace serving": 1,  # the server here has none of its metrics
}
"""Commands that are documented for what they refuse, with their exit code."""
SCRAPE = 15
RATE = 1000


def healthy(connection: socket.socket, request: bytes, end: threading.Event) -> None:
    """A Prometheus of two arms that answer all requests well."""
    window = int(re.search(rb"%5B(\d+)s%5D", request)[1])  # type: ignore[index]  # every query is a range selector
    at = int(float(re.search(rb"time=([\d.]+)", request)[1]))  # type: ignore[index]  # and has a time
    times = [t for t in range(at - window + 1, at + 1) if t % SCRAPE == 0]
    result = [
        {
            "metric": {
                "__name__": "requests_total",
                "namespace": "serving",
                "pod": f"fraud-{arm}-5d9c7b6f4-x",
                "code": "200",
            },
            "values": [[t, str((t - 1_700_000_000) * RATE)] for t in times],
        }
        for arm in ("v7", "v8")
    ]
    connection.sendall(answer({"status": "success", "data": {"resultType": "matrix", "result": result}}))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "examples"):
        (place / name).symlink_to(ROOT / name)
    (place / "journal.jsonl").write_text(json.dumps(written(under_way())) + "\n")
    counts(place / "counts.csv", total=20000)
    return place


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    with Misbehaving(healthy) as server:
        yield server.url


@pytest.mark.timeout(400)  # half a minute of processor time; a busy machine takes much longer
def test_documented_commands_do_what_the_pages_say(checkout: Path, prometheus: str) -> None:
    assert len(OFFLINE) >= 4
    assert set(REFUSED) < set(OFFLINE)
    for command in OFFLINE:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=checkout,
            env={**os.environ, "PROMETHEUS": prometheus},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert (done.returncode, done.stderr) == (REFUSED.get(command, 0), ""), (
            f"{command}\n{done.stdout}\n{done.stderr}"
        )
        assert done.stdout, f"{command}: not a word"

"""The load generator as a process: bounds, control, signals, messages."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.models import records

from .conftest import ROOT, StartServer, value

StartLoad = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_load(models_dir: str, tmp_path: Path) -> Iterator[StartLoad]:
    running: list[subprocess.Popen[str]] = []

    def start(url: str, *more: str) -> "subprocess.Popen[str]":
        rows = f"{models_dir}/heldout.jsonl"
        command = [sys.executable, "-m", "e2e.models.load", "--url", url, "--rows", rows]
        command += ["--out", str(tmp_path / "records.jsonl"), *more]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=-1, stderr=-1, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def ask(port: int, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_run_ends_by_itself_and_tells_its_totals(
    start_server: StartServer, start_load: StartLoad, tmp_path: Path
) -> None:
    server = start_server("better", version="8")
    load = start_load(
        f"http://127.0.0.1:{server.port}/predict", "--rate", "100", "--duration", "1", "--feedback-delay", "0.2"
    )
    out, err = load.communicate(timeout=30)
    assert (load.returncode, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert last["totals"]["answers"] == {"8": 100}
    assert last["labels"]["counted"] == 100
    assert last["rate"] == pytest.approx(80, abs=20)  # over the whole run, with the wait for labels
    assert len(records.read(tmp_path / "records.jsonl")) == 100
    right = value(server, "predictions_labeled_total", version="8", step="0", correct="true")
    wrong = value(server, "predictions_labeled_total", version="8", step="0", correct="false")
    assert right is not None
    assert wrong is not None
    assert right + wrong == 100
    assert last["versions"]["8"]["accuracy"] == right / 100


def test_control_changes_the_rate_and_shows_the_last_seconds(
    start_server: StartServer, start_load: StartLoad, tmp_path: Path
) -> None:
    server = start_server("better", version="8")
    url = f"http://127.0.0.1:{server.port}/predict"
    load = start_load(url, "--rate", "0", "--duration", "60", "--control", "0")
    port = first_line(load)["control"]
    status, empty = ask(port, "/summary?window=5")
    assert (status, empty["requests"], empty["versions"]) == (200, 0, {})
    status, changed = ask(port, "/settings", {"rate": 400, "users": 3, "step": "4"})
    assert (status, changed["settings"]["rate"]) == (200, 400)
    deadline = time.monotonic() + 10
    while ask(port, "/summary")[1]["requests"] < 200:
        assert time.monotonic() < deadline
    found = ask(port, "/summary?window=10")[1]
    assert found["versions"]["8"]["share"] == 1.0
    assert found["versions"]["8"]["users"] == 3
    assert found["versions"]["8"]["errorRatio"] == 0
    assert found["settings"]["step"] == "4"
    assert 0 < found["versions"]["8"]["p50"] <= found["versions"]["8"]["p95"] < 1
    assert ask(port, "/stop", {})[0] == 200
    load.communicate(timeout=10)
    assert load.returncode == 0
    assert min(r.start for r in records.read(tmp_path / "records.jsonl")) >= changed["at"] - 0.1


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/settings", {"rate": 1e9}, "from 0 to 5000"),
        ("/settings", {"speed": 1}, "known: rate"),
        ("/settings", [], "JSON object"),
        ("/summary?window=0", None, "window must be seconds"),
        ("/summary?window=x", None, "window must be seconds"),
        ("/summary?window=nan", None, "window must be seconds"),
    ],
)
def test_control_refuses_with_a_reason(start_load: StartLoad, path: str, body: object, words: str) -> None:
    load = start_load("http://127.0.0.1:9/predict", "--rate", "0", "--duration", "60", "--control", "0")
    status, answer = ask(first_line(load)["control"], path, body)
    assert status == 400
    assert words in answer["error"]


def test_control_on_a_unix_socket(start_load: StartLoad, tmp_path: Path) -> None:
    path = tmp_path / "control"
    load = start_load("http://127.0.0.1:9/predict", "--rate", "0", "--duration", "60", "--control-socket", str(path))
    assert first_line(load)["control"] == str(path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /summary HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_sigterm_ends_early_with_complete_records(
    start_server: StartServer, start_load: StartLoad, tmp_path: Path
) -> None:
    server = start_server("better", BEHAVIOUR='{"delay_ms": 200}')
    url = f"http://127.0.0.1:{server.port}/predict"
    load = start_load(url, "--rate", "100", "--duration", "60", "--control", "0")
    port = first_line(load)["control"]
    deadline = time.monotonic() + 10
    while ask(port, "/summary")[1]["requests"] < 20:
        assert time.monotonic() < deadline
    load.send_signal(signal.SIGTERM)
    out, _ = load.communicate(timeout=10)
    assert load.returncode == 0
    found = records.read(tmp_path / "records.jsonl")
    assert len(found) == json.loads(out.splitlines()[-1])["totals"]["sent"]
    assert {r.kind for r in found} == {"ok"}


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("http://192.0.2.1.invalid/predict", [], "has no address"),
        ("http://8.8.8.8/predict", [], "public address"),
        ("ftp://127.0.0.1/", [], "--url must be http://"),
        ("http://127.0.0.1:9/predict", ["--rate", "6000"], "rate must be a number from 0 to 5000"),
        ("http://127.0.0.1:9/predict", ["--duration", "0"], "--duration must be over 0"),
        ("http://127.0.0.1:9/predict", ["--max-requests", "0"], "--max-requests must be at least 1"),
        ("http://127.0.0.1:9/predict", ["--header", "x-tier"], "NAME=VALUE"),
        ("http://127.0.0.1:9/predict", ["--rows", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_arguments_are_said_in_one_line(start_load: StartLoad, url: str, more: list[str], words: str) -> None:
    load = start_load(url, "--rate", "1", "--duration", "1", *more)
    _, err = load.communicate(timeout=30)
    assert load.returncode == 2
    assert err.startswith("load: ")
    assert err.count("\n") == 1
    assert words in err

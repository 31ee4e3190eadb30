"""Real processes on loopback: trained models and a model server with the interpreter's standard library only."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.models import records, train

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[train.Result]]:
    """Directory of freshly trained models, and their held-out figures."""
    out = tmp_path_factory.mktemp("models")
    return out, train.train(out)


@pytest.fixture(scope="session")
def models_dir(models: tuple[Path, list[train.Result]]) -> str:
    """Directory of the trained models."""
    return str(models[0])


@pytest.fixture(scope="session")
def held(models: tuple[Path, list[train.Result]]) -> list[tuple[list[float], int]]:
    """Held-out rows and labels."""
    return records.read_rows(models[0] / train.HELDOUT_FILE)


@dataclass
class Server:
    """A running model server."""

    process: subprocess.Popen[str]
    port: int
    admin_port: int

    def call(
        self, method: str, path: str, body: object = None, *, admin: bool = False
    ) -> tuple[int, Any, dict[str, str]]:
        """One request on a connection of its own: status, body (JSON or text), headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port if admin else self.port, timeout=20)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            headers = {"content-type": "application/json"} if data else {}
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            parsed = json.loads(text) if answer.getheader("content-type") == "application/json" else text
            return answer.status, parsed, {k.lower(): v for k, v in answer.getheaders()}

    def behave(self, **changes: object) -> dict[str, Any]:
        """Switch the behaviour; returns the admin port's answer."""
        status, answer, _ = self.call("POST", "/behaviour", changes, admin=True)
        assert status == 200, answer
        return dict(answer)

    def predict(self, row: list[float], **more: object) -> tuple[int, Any, dict[str, str]]:
        """Predict one row."""
        return self.call("POST", "/predict", {"id": "a", "user": "u1", "rows": [row], **more})

    def metrics(self) -> str:
        """The scrape."""
        return str(self.call("GET", "/metrics")[1])


StartServer = Callable[..., Server]


@pytest.fixture
def start_server(models: tuple[Path, list[train.Result]]) -> Iterator[StartServer]:
    """Start model servers by variant; they end with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(variant: str = "better", *, version: str = "8", pod: str = "pod-1", **env: str) -> Server:
        # -S: no site-packages, as in the minimal image. An import of anything else fails.
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "e2e.models.server"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "VARIANT": variant,
                "MODEL_DIR": str(models[0]),
                "MODEL_VERSION": version,
                "POD_NAME": pod,
                "ARM": "candidate",
                "HOST": "127.0.0.1",
                "PORT": "0",
                "ADMIN_PORT": "0",
                **env,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        return Server(process, first["port"], first["admin_port"])

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Parse a scrape with the official parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(server: Server, name: str, **labels: str) -> float | None:
    return samples(server.metrics()).get((name, frozenset(labels.items())))

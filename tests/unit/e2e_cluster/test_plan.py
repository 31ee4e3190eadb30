"""The plan that crosses into the namespaces, and the supervisor's look at readiness."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.cluster.plan import Component, Plan, Probe, read_plan
from e2e.cluster.supervisor import passes

PLAN = Plan(
    run_dir="/run/x",
    node_tree=None,
    hostname="node-0",
    path="/bin",
    components=[
        Component("etcd", ["etcd"], probe=Probe("url", "http://127.0.0.1:1/")),
        Component("task", ["true"], after=["etcd"], probe=Probe("exit")),
    ],
)


def test_a_plan_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    PLAN.write(path)
    again = tmp_path / "again.json"
    read_plan(path).write(again)
    assert again.read_text() == path.read_text()
    assert read_plan(path).components[0].probe == PLAN.components[0].probe
    assert [component.once for component in read_plan(path).components] == [False, True]


def test_a_plan_with_an_unknown_dependency_is_refused() -> None:
    wrong = dataclasses.replace(PLAN, components=[Component("a", ["a"], after=["b"])])
    with pytest.raises(ValueError, match=r"a waits for unknown \['b'\]"):
        wrong.check()


def test_a_plan_with_one_name_twice_is_refused() -> None:
    wrong = dataclasses.replace(PLAN, components=[Component("a", ["a"]), Component("a", ["b"])])
    with pytest.raises(ValueError, match="names repeat"):
        wrong.check()


def test_a_sound_plan_passes() -> None:
    PLAN.check()


class Api(BaseHTTPRequestHandler):
    """Answers /node/STATUS with a Node whose Ready condition has that status; everything else with 500."""

    def do_GET(self) -> None:
        status = self.path.removeprefix("/node/")
        known = status in ("True", "False")
        self.send_response(200 if known else 500)
        self.end_headers()
        conditions = [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": status}]
        self.wfile.write(json.dumps({"status": {"conditions": conditions}}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_node_counts_when_its_ready_condition_is_true(api: str) -> None:
    assert passes(Probe("node", f"{api}/node/True"))
    assert not passes(Probe("node", f"{api}/node/False"))
    assert not passes(Probe("node", f"{api}/error"))


def test_a_url_counts_when_it_gives_200(api: str) -> None:
    assert passes(Probe("url", f"{api}/node/True"))
    assert not passes(Probe("url", f"{api}/error"))


def test_nobody_listening_is_not_ready(api: str) -> None:
    assert not passes(Probe("url", "http://127.0.0.1:1/"))


def test_a_path_counts_when_it_exists(tmp_path: Path) -> None:
    assert passes(Probe("path", str(tmp_path)))
    assert not passes(Probe("path", str(tmp_path / "missing")))

"""The server process, over real sockets."""

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from .conftest import ROOT, Server, StartServer, samples, value

Held = list[tuple[list[float], int]]


def raw(server: Server, data: bytes) -> bytes:
    """Send bytes, read until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(data)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        return answer


def test_prediction_names_who_answered(start_server: StartServer, held: Held) -> None:
    server = start_server("better", version="8", pod="fraud-8-x")
    status, answer, headers = server.predict(held[0][0])
    assert status == 200
    assert answer == {
        "id": "a",
        "label": held[0][1],
        "score": answer["score"],
        "model": "tumour",
        "version": "8",
        "pod": "fraud-8-x",
    }
    assert (answer["score"] >= 0.5) == (answer["label"] == 1)
    assert headers["x-model-version"] == "8"
    assert headers["x-model-arm"] == "candidate"
    assert headers["x-pod"] == "fraud-8-x"


def test_several_rows_and_one_bare_row(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    _, answer, _ = server.call("POST", "/predict", {"rows": [row for row, _ in held[:5]]})
    assert len(answer["labels"]) == len(answer["scores"]) == 5
    assert answer["id"]
    _, bare, _ = server.call("POST", "/predict", {"row": held[2][0]})
    assert bare["score"] == answer["scores"][2]
    counted = samples(server.metrics())
    assert sum(v for (name, _), v in counted.items() if name == "prediction_bucket_total") == 6


def test_server_scores_as_the_exported_model_does(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    right = 0
    for start in range(0, len(held), 100):
        part = held[start : start + 100]
        _, answer, _ = server.call("POST", "/predict", {"rows": [row for row, _ in part]})
        right += sum(got == label for got, (_, label) in zip(answer["labels"], part, strict=True))
    assert right / len(held) > 0.975


def test_children_exist_before_the_first_request(start_server: StartServer) -> None:
    before = time.time()
    server = start_server("good", version="7", PEER_VERSIONS="7,8")
    found = samples(server.metrics())
    for code in ("200", "500"):
        assert found["requests_total", frozenset({("version", "7"), ("code", code)})] == 0
    for version in ("7", "8"):
        for correct in ("true", "false"):
            labels = frozenset({("version", version), ("step", "0"), ("correct", correct)})
            assert found["predictions_labeled_total", labels] == 0
    bounds = {dict(labels)["le"] for name, labels in found if name == "latency_seconds_bucket"}
    assert {"0.05", "0.1", "0.25", "0.3", "0.5", "1", "+Inf"} <= bounds
    bins = {dict(labels)["bin"] for name, labels in found if name == "prediction_bucket_total"}
    assert bins == {str(i) for i in range(10)}
    start = found["process_start_time_seconds", frozenset()]
    assert before - 1 < start <= time.time()


def test_latency_observes_successes_only(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    assert server.predict(held[0][0])[0] == 200
    server.behave(errors=1)
    status, answer, headers = server.predict(held[0][0])
    assert status == 500
    assert "switched on" in answer["error"]
    assert headers["x-model-version"] == "8"
    assert value(server, "requests_total", version="8", code="200") == 1
    assert value(server, "requests_total", version="8", code="500") == 1
    assert value(server, "latency_seconds_count", version="8") == 1
    assert value(server, "latency_seconds_bucket", version="8", le="0.3") == 1


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"rows": [[1,2', 400, "json"),
        (b"[" * 50_000, 400, "json"),
        (b"[]", 400, "body"),
        (b"{}", 400, "rows"),
        (b'{"rows": [[1, 2, 3]]}', 400, "rows"),
        (b'{"rows": [[' + b"1," * 29 + b"NaN]]}", 400, "rows"),
        (b'{"rows": [[' + b"1," * 29 + b"true]]}", 400, "rows"),
        (b'{"rows": [' + b"[]," * 256 + b"[]]}", 400, "rows"),
        (b'{"id": 5, "rows": [[1]]}', 400, "body"),
        (b"\xff\xfe", 400, "json"),
    ],
)
def test_malformed_bodies_are_refused_and_are_no_requests_to_the_model(
    start_server: StartServer, body: bytes, status: int, reason: str
) -> None:
    server = start_server("better")
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    answer = raw(server, head + body)
    assert int(answer.split(b" ")[1]) == status
    assert json.loads(answer.split(b"\r\n\r\n")[1])["reason"] == reason
    assert value(server, "requests_rejected_total", version="8", reason=reason) == 1
    found = samples(server.metrics()).items()
    assert sum(number for (name, _), number in found if name == "requests_total") == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /predict HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n", 413),
        (b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.1\r\nconnection: close\r\n\r\n", 404),
        (b"GET /predict HTTP/1.0\r\n\r\n", 405),
        (
            b"POST /predict HTTP/1.1\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
            415,
        ),
    ],
)
def test_wire_errors_get_their_status_and_the_server_lives(start_server: StartServer, data: bytes, status: int) -> None:
    server = start_server("better")
    assert int(raw(server, data).split(b" ")[1]) == status
    assert server.call("GET", "/healthz")[0] == 200


def test_a_refusal_reaches_a_client_that_still_sends(start_server: StartServer) -> None:
    server = start_server("better")
    head = b"POST /predict HTTP/1.1\r\ncontent-length: 3000000\r\n\r\n"
    answer = raw(server, head + b"x" * 3_000_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"fewer rows" in answer


def test_keep_alive_pipelining_and_chunks(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    body = json.dumps({"id": "k", "rows": [held[0][0]]}).encode()
    plain = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    chunked = (
        b"POST /predict?x=1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"%x;ext=1\r\n%s\r\n%x\r\n%s\r\n0\r\ntrailer: 1\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    )
    answer = raw(server, plain + plain + chunked)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b'"id":"k"') == 3
    assert value(server, "requests_total", version="8", code="200") == 3


def test_head_of_metrics_has_no_body(start_server: StartServer) -> None:
    server = start_server("better")
    answer = raw(server, b"HEAD /metrics HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")


def test_feedback_counts_for_the_version_that_predicted(start_server: StartServer) -> None:
    legacy = start_server("legacy", version="7")
    body = [
        {"id": "1", "label": 1, "predicted": 1, "version": "8", "step": "2"},
        {"id": "2", "label": 0, "predicted": 1, "version": "8", "step": "2"},
        {"id": "3", "label": 0, "predicted": 0, "version": "7"},
        {"id": "1", "label": 1, "predicted": 1, "version": "8", "step": "2"},
    ]
    status, answer, _ = legacy.call("POST", "/feedback", body)
    assert (status, answer) == (200, {"counted": 3, "unmatched": 1})
    name = "predictions_labeled_total"
    assert value(legacy, name, version="8", step="2", correct="true") == 1
    assert value(legacy, name, version="8", step="2", correct="false") == 1
    assert value(legacy, name, version="7", step="0", correct="true") == 1
    assert value(legacy, "feedback_unmatched_total") == 1


def test_feedback_with_only_an_id_is_joined_with_the_own_prediction(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    predicted = server.predict(held[0][0])[1]["label"]
    assert server.call("POST", "/feedback", {"id": "a", "label": 1 - predicted})[0] == 200
    assert value(server, "predictions_labeled_total", version="8", step="0", correct="false") == 1
    assert server.call("POST", "/feedback", {"id": "unknown", "label": 1})[0] == 404


@pytest.mark.parametrize(
    "item",
    [
        {"id": "x", "label": 2},
        {"id": "x", "label": True},
        {"id": "", "label": 1},
        {"label": 1},
        {"id": "x", "label": 1, "predicted": "1"},
        {"id": "x", "label": 1, "predicted": 1, "version": 'a"b\n'},
        {"id": "x", "label": 1, "predicted": 1, "step": "1000"},
        "x",
    ],
)
def test_a_malformed_label_refuses_the_whole_post(start_server: StartServer, item: object) -> None:
    server = start_server("better")
    good = {"id": "g", "label": 1, "predicted": 1, "version": "8"}
    assert server.call("POST", "/feedback", [good, item])[0] == 400
    assert value(server, "predictions_labeled_total", version="8", step="0", correct="true") == 0


def test_clients_cannot_make_endless_series(start_server: StartServer) -> None:
    server = start_server("better")
    items = [{"id": str(i), "label": 1, "predicted": 1, "version": f"v{i}"} for i in range(100)]
    _, answer, _ = server.call("POST", "/feedback", items)
    assert answer == {"counted": 15, "unmatched": 85}


def test_feedback_and_scrapes_are_no_requests_to_the_model(start_server: StartServer) -> None:
    server = start_server("better")
    server.call("POST", "/feedback", {"id": "x", "label": 1, "predicted": 1, "version": "8"})
    server.call("GET", "/healthz")
    assert value(server, "requests_total", version="8", code="200") == 0
    assert value(server, "latency_seconds_count", version="8") == 0


def test_erroring_fails_on_large_values_only(start_server: StartServer, held: Held) -> None:
    server = start_server("erroring")
    answers = {server.predict(row)[0]: row for row, _ in held[:60]}
    assert set(answers) == {200, 500}
    assert "IndexError" in server.predict(answers[500])[1]["error"]
    assert answers[500][23] > answers[200][23]


def test_slow_waits_and_legacy_does_not(start_server: StartServer, held: Held) -> None:
    slow, fast = start_server("slow"), start_server("legacy")
    for _ in range(5):  # a busy machine may delay some of them
        slow.predict(held[0][0])
        fast.predict(held[0][0])
    assert value(slow, "latency_seconds_bucket", version="8", le="0.4") == 0
    assert (value(slow, "latency_seconds_bucket", version="8", le="0.5") or 0) >= 1
    assert (value(fast, "latency_seconds_bucket", version="8", le="0.1") or 0) >= 1


def test_crashing_ends_after_its_number_of_requests(start_server: StartServer, held: Held) -> None:
    server = start_server("crashing", BEHAVIOUR='{"crash_after": 3}')
    for _ in range(3):
        assert server.predict(held[0][0])[0] == 200
    with pytest.raises(ConnectionResetError):
        server.predict(held[0][0])
    assert server.process.wait(10) == 1


def test_leaking_keeps_memory_for_every_prediction(start_server: StartServer, held: Held) -> None:
    server = start_server("legacy", BEHAVIOUR='{"leak_kb": 10240}')
    statm = Path(f"/proc/{server.process.pid}/statm")
    before = int(statm.read_text().split()[1])
    for _ in range(3):
        assert server.predict(held[0][0])[0] == 200
    grown = (int(statm.read_text().split()[1]) - before) * os.sysconf("SC_PAGE_SIZE")
    assert grown > 25 << 20


def test_cold_is_unready_until_loaded_and_slow_at_first(start_server: StartServer, held: Held) -> None:
    short = '{"cold_load_s": 0.6, "cold_requests": 1, "cold_delay_ms": 260}'
    server = start_server("cold", BEHAVIOUR=short)
    assert server.call("GET", "/readyz")[0] == 503
    assert server.call("GET", "/healthz")[0] == 200
    assert server.predict(held[0][0])[0] == 503
    deadline = time.monotonic() + 10
    while server.call("GET", "/readyz")[0] != 200:
        assert time.monotonic() < deadline
    assert server.predict(held[0][0])[0] == 200
    assert server.predict(held[0][0])[0] == 200
    assert value(server, "latency_seconds_bucket", version="8", le="0.25") == 1
    assert value(server, "cold_starts_total", version="8") == 1
    assert value(server, "requests_total", version="8", code="503") == 1


def test_behaviour_is_switched_and_restored_at_run_time(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    label = server.predict(held[0][0])[1]["label"]
    before = time.time()
    at = server.behave(wrong=1, delay_ms=120)["at"]
    assert before <= at <= time.time()
    assert server.predict(held[0][0])[1]["label"] == 1 - label
    assert value(server, "latency_seconds_bucket", version="8", le="0.1") == 1
    status, answer, _ = server.call("DELETE", "/behaviour", admin=True)
    assert (status, answer["behaviour"]["wrong"]) == (200, 0)
    assert server.predict(held[0][0])[1]["label"] == label
    server.behave(not_ready=True)
    assert server.call("GET", "/readyz")[0] == 503


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eror": 1}, "known: errors"),
        ({"errors": 1.5}, "from 0 to 1"),
        ({"errors": "1"}, "from 0 to 1"),
        ({"delay_ms": -1}, "from 0 to 60000"),
        ({"crash_after": 1.5}, "whole number"),
        ({"crash": 1}, "true or false"),
        ([], "JSON object"),
    ],
)
def test_a_bad_behaviour_changes_nothing(start_server: StartServer, changes: object, words: str) -> None:
    server = start_server("better")
    status, answer, _ = server.call("POST", "/behaviour", changes, admin=True)
    assert status == 400
    assert words in answer["error"]
    assert server.call("GET", "/behaviour", admin=True)[1]["behaviour"]["errors"] == 0


def test_behaviour_can_be_switched_with_plain_curl(start_server: StartServer) -> None:
    server = start_server("better")
    url = f"http://127.0.0.1:{server.admin_port}/behaviour"
    request = urllib.request.Request(url, data=b'{"errors": 0.5}')  # typed as a form, as `curl -d` does
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["behaviour"]["errors"] == 0.5


def test_crash_answers_first_and_then_ends(start_server: StartServer) -> None:
    server = start_server("better")
    assert server.behave(crash=True)["at"]
    assert server.process.wait(10) == 1


def test_behaviour_is_not_on_the_public_port(start_server: StartServer) -> None:
    server = start_server("better")
    assert server.call("POST", "/behaviour", {"errors": 1})[0] == 404


def test_reset_closes_without_an_answer(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    server.behave(reset=1)
    with pytest.raises(ConnectionResetError):
        server.predict(held[0][0])
    server.behave(reset=0)
    assert server.predict(held[0][0])[0] == 200


def test_sigterm_finishes_what_is_in_flight(start_server: StartServer, held: Held) -> None:
    server = start_server("better", BEHAVIOUR='{"delay_ms": 1200}')
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(server.predict, held[0][0]) for _ in range(8)]
        deadline = time.monotonic() + 10
        while value(server, "requests_in_flight") != 8:
            assert time.monotonic() < deadline
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert [a.result()[0] for a in answers] == [200] * 8
        assert {a.result()[2].get("connection") for a in answers} == {"close"}
    assert server.process.wait(10) == 0
    assert time.monotonic() - began < 5
    with pytest.raises(ConnectionRefusedError):
        server.call("GET", "/healthz")


def test_sigterm_closes_idle_connections_and_ends_soon(start_server: StartServer) -> None:
    server = start_server("better")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(65536) == b""
    assert server.process.wait(5) == 0


def test_a_request_during_the_linger_is_still_answered(start_server: StartServer) -> None:
    server = start_server("better")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as pooled:
        pooled.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        pooled.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stdout is not None
        assert json.loads(server.process.stdout.readline())["message"] == "draining"
        pooled.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        answer = pooled.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"VARIANT": "nonsense"}, "known: legacy, good"),
        ({"MODEL_DIR": "/nowhere"}, "model 'legacy' not found in /nowhere"),
        ({"BEHAVIOUR": "{"}, "BEHAVIOUR is not JSON"),
        ({"PORT": "http"}, "http"),
    ],
)
def test_a_bad_environment_is_said_in_one_line(models_dir: str, env: dict[str, str], words: str) -> None:
    base = {"PYTHONPATH": str(ROOT), "MODEL_DIR": models_dir, "HOST": "127.0.0.1", "PORT": "0", "ADMIN_PORT": "0"}
    command = [sys.executable, "-S", "-m", "e2e.models.server"]
    done = subprocess.run(command, env={**base, **env}, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("model server: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_many_clients_at_once(start_server: StartServer, held: Held) -> None:
    server = start_server("better")
    lock, statuses = threading.Lock(), list[int]()

    def client(number: int) -> None:
        for index in range(20):
            status = server.predict(held[(number + index) % len(held)][0])[0]
            with lock:
                statuses.append(status)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(client, n) for n in range(20)]:
            done.result()
    assert statuses == [200] * 400
    assert value(server, "requests_total", version="8", code="200") == 400

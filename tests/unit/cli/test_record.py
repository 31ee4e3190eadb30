"""`modelrollout record`: times, tokens and files; a server that fails leaves no file behind."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelrollout.adapters.prom import ranges
from modelrollout.cli.main import app
from modelrollout.cli.moments import parse_moment
from tests.layout.documents import ROOT
from tests.unit.prom.misbehaving import Misbehaving

MANIFEST = ROOT / "examples" / "smallest.yaml"
START = "2026-11-21T18:00:00Z"
END = "2026-11-21T18:05:00Z"


def answer(document: object, status: str = "200 OK") -> bytes:
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def matrix(*samples: tuple[float, str]) -> bytes:
    metric = {"__name__": "requests_total", "namespace": "serving", "pod": "fraud-v8-1-x"}
    result = [{"metric": metric, "values": [list(sample) for sample in samples]}]
    return answer({"status": "success", "data": {"resultType": "matrix", "result": result}})


def says(text: bytes) -> Misbehaving:
    def behave(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        connection.sendall(text)

    return Misbehaving(behave)


def run(*arguments: str | Path, token: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(
        app, ["record", *map(str, arguments)], env={"MODELROLLOUT_PROMETHEUS_TOKEN": token or None}
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_recording_is_named_for_the_rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with says(matrix((1795284001.0, "5"), (1795284016.0, "7"))) as server:
        where = ("--prometheus", server.url, "--start", START, "--end", END)
        assert run(MANIFEST, *where) == (0, "fraud.jsonl: 2 samples of 1 series of serving/fraud, 300 s\n", "")
        header, line = (json.loads(text) for text in Path("fraud.jsonl").read_text().splitlines())
        assert header == {
            "format": "modelrollout-samples",
            "version": 1,
            "rollout": "serving/fraud",
            "start": parse_moment(START, 0.0),
            "end": parse_moment(END, 0.0),
            "scrape": 15.0,
            "arms": None,
        }
        assert line["samples"] == [[1795284001, 5], [1795284016, 7]]
        code, out, err = run(MANIFEST, *where)
        assert (code, out) == (1, "")
        assert err == "error: fraud.jsonl is there already; --force writes over it, --out names another\n"
        assert run(MANIFEST, *where, "--force", "--scrape", "5")[0] == 0
    assert json.loads(Path("fraud.jsonl").read_text().splitlines()[0])["scrape"] == 5.0
    assert [p.name for p in tmp_path.iterdir()] == ["fraud.jsonl"]


@pytest.mark.parametrize("way", ["file", "environment"])
def test_the_token_is_sent_and_never_shown(way: str, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret-t0ken\n")
    given = ("--token-file", secret) if way == "file" else ()
    with says(answer({"status": "error", "error": "s3cret-t0ken"}, "403 Forbidden")) as server:
        code, out, err = run(
            *(MANIFEST, "--prometheus", server.url, "--start", START, "--end", END, "--out", tmp_path, *given),
            token="" if way == "file" else "s3cret-t0ken",
        )
        (request,), url = server.requests, server.url
    assert b"Authorization: Bearer s3cret-t0ken\r\n" in request
    assert (code, out) == (1, "")
    assert err == f"error: {url} does not answer in a usable way (HTTP 403); nothing was written\n"
    assert [p.name for p in tmp_path.iterdir()] == ["token"]


def test_a_profile_of_a_gateway_is_recorded_by_the_label_of_the_source(tmp_path: Path) -> None:
    text = MANIFEST.read_text().replace("modelrollout/errors", "traefik/errors")
    assert "traefik/errors" in text
    manifest = tmp_path / "rollout.yaml"
    where = ("--start", START, "--end", END, "--out", tmp_path)
    with says(matrix((1795284001.0, "5"))) as server:
        manifest.write_text(text)
        code, _, err = run(manifest, "--prometheus", server.url, *where)
        assert code == 1
        assert "arms must be set for profile traefik/errors, or arms of the MetricSource" in err
        source = {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": "MetricSource",
            "metadata": {"name": "default"},
            "spec": {
                "prometheus": {"address": "http://p:9090"},
                "arms": {"by": "label", "label": {"name": "service", "legacy": "old@x", "candidate": "new@x"}},
            },
        }
        manifest.write_text(f"{text}\n---\n{json.dumps(source)}\n")
        assert run(manifest, "--prometheus", server.url, *where)[0] == 0
        (request,) = server.requests
    assert b"traefik_service_requests_total" in request


def test_no_flag_takes_a_token() -> None:
    help_text = CliRunner().invoke(app, ["record", "--help"], env={"COLUMNS": "200"}).stdout
    assert "--token-file" in help_text
    assert "--token " not in help_text


def test_a_server_that_fails_in_the_middle_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "PAUSE", 0.0)
    answers = [matrix((1795284001.0, "5")), answer({}, "500 Internal Server Error")]

    def behave(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        connection.sendall(answers[0] if len(answers) > 1 else answers[-1])
        del answers[:-1]

    with Misbehaving(behave) as server:
        target = tmp_path / "x.jsonl"
        code, out, err = run(
            *(MANIFEST, "--prometheus", server.url, "--start", START, "--end", "2026-11-21T19:00:00Z"), "--out", target
        )
        assert len(server.requests) == 1 + ranges.TRIES
    assert (code, out) == (1, "")
    assert "(HTTP 500); nothing was written" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--start", "yesterday"],
            2,
            "--start: 'yesterday' is no time; write 2026-11-21T18:25:00Z, epoch seconds, now, or",
        ),
        (["--start", "2026-11-21T18:25:00"], 2, "--start: '2026-11-21T18:25:00' is no time"),
        (["--start", "nan"], 2, "--start: 'nan' is no time"),
        (["--start", "now", "--end", "now-1h"], 2, "--start now is not before --end now-1h"),
        (["--start", "now-60d"], 2, "--start and --end are 60 days apart; record at most 31 days at once"),
        (["--start", START, "--token-file", "none"], 1, "--token-file: none: No such file or directory"),
        (
            ["--start", START, "--out", "none/x.jsonl"],
            1,
            "none/x.jsonl: No such file or directory; name a file that can",
        ),
        (
            ["--start", START, "--prometheus", "ftp://x"],
            1,
            "--prometheus: the address must start with http:// or https://",
        ),
        (
            ["--start", START, "--prometheus", "http://u:p@x"],
            1,
            "--prometheus: the address must not carry a user name or",
        ),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = [] if "--prometheus" in arguments else ["--prometheus", "http://127.0.0.1:9"]
    found, out, err = run(MANIFEST, *arguments, *where)
    assert (found, out) == (code, "")
    assert err.startswith(f"error: {said}")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "PAUSE", 0.0)
    with says(b"") as server:
        url = server.url
    _, _, err = run(MANIFEST, "--prometheus", url, "--start", START, "--end", END, "--out", tmp_path)
    assert err == f"error: {url} does not answer in a usable way (Unreachable); nothing was written\n"


def test_moments() -> None:
    assert parse_moment("now", 1000.0) == 1000.0
    assert parse_moment("now-1h30m", 10_000.0) == 10_000.0 - 5400.0
    assert parse_moment("1795284000.5", 0.0) == 1795284000.5
    assert parse_moment("2026-11-21T18:00:00+01:00", 0.0) == parse_moment("2026-11-21T17:00:00Z", 0.0)

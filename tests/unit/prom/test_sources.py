"""The registry: objects come, change and go; Secrets are found, missing or renewed."""

from __future__ import annotations

import asyncio
import datetime
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.prom import parse
from modelrollout.adapters.prom.connect import DEFAULT_LIMITS, Client, Target
from modelrollout.adapters.prom.metrics import PrometheusMetrics
from modelrollout.adapters.prom.sources import Sources
from modelrollout.adapters.prom.wire import Call, tls_context
from modelrollout.core.observation import SpecProblem
from modelrollout.errors import ApiUnavailable, Denied
from modelrollout.ports import Answer, ArmsByLabel, NoAnswer, SeriesQuery, SourceSpec
from tests.unit.prom.conftest import no_secret, source_object
from tests.unit.prom.misbehaving import Misbehaving, answering, silent, succeeding

QUERY = SeriesQuery(("up",), 10.0)
TOKEN = {"auth": {"bearerToken": {"secret": "prom-token", "key": "token"}}}


def registry(**kwargs: Any) -> Sources:
    return Sources(**{"read_secret": no_secret, "namespace_labels": lambda name: {}, "allow_loopback": True, **kwargs})


def problem(sources: Sources, name: str = "p") -> str:
    found = sources.spec(name)
    assert isinstance(found, SpecProblem), found
    assert found.reason == "SourceNotFound"
    return found.problem


async def test_spec_of_a_source() -> None:
    sources = registry()
    arms = {"by": "label", "label": {"name": "role", "legacy": "old", "candidate": "new"}}
    await sources.update(source_object("p", "http://prometheus:9090", spec={"arms": arms, "scrapeInterval": "5s"}))
    assert sources.spec("p") == SourceSpec("p", ArmsByLabel("role", "old", "new"), 5.0)
    sources.close()


async def test_missing_source_names_those_there_are() -> None:
    sources = registry()
    assert "there are: none" in problem(sources)
    await sources.update(source_object("default", "http://prometheus:9090"))
    assert "there are: default" in problem(sources)
    sources.remove("default")
    assert "there are: none" in problem(sources, "default")


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (source_object("p", "http://user:hunter2@prometheus"), "prometheus.address"),
        (source_object("p", "ftp://prometheus/hunter2"), "prometheus.address"),
        (source_object("p", "http://prometheus", headers={"X-A": "hunter2\r\nX-B: 1"}), "prometheus"),
        (source_object("p", "http://prometheus", headers={"Host": "hunter2"}), "prometheus.headers"),
        (source_object("p", "http://prometheus", headers={"Content-Length": "12"}), "headers: Content-Length"),
        (
            source_object("p", "http://prometheus", headers={"Authorization": "hunter2"}, **TOKEN),
            "prometheus.headers",
        ),
        (source_object("p", "http://prometheus", **TOKEN), "Secret prom-token in the operator's namespace has no"),
        ({"metadata": {"name": "p"}, "spec": {}}, "prometheus"),
    ],
)
async def test_unusable_source_says_why_and_keeps_secrets(obj: dict[str, Any], words: str) -> None:
    sources = registry()
    await sources.update(obj)
    assert words in problem(sources)
    assert "hunter2" not in problem(sources)
    assert await PrometheusMetrics(sources).read("p", [QUERY], at=1.0) == [NoAnswer("Unreachable")]
    assert not sources.allowed("p", "any")


async def test_loopback_is_refused_unless_set() -> None:
    with Misbehaving(succeeding()) as server:
        sources = registry(allow_loopback=False)
        await sources.update(source_object("p", server.url))
        assert "loopback" in problem(sources)


async def test_name_that_turns_to_loopback_gets_no_packet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A name may pass every check beforehand and resolve to something else when it counts."""
    with Misbehaving(succeeding()) as server:
        port = int(server.url.rpartition(":")[2])

        def rebound(host: str, port: int, *args: object, **kwargs: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        sources = registry(allow_loopback=False)
        await sources.update(source_object("p", f"http://prometheus.example.com:{port}"))
        assert isinstance(sources.spec("p"), SourceSpec)
        for _ in range(2):
            assert await PrometheusMetrics(sources).read("p", [QUERY], at=1.0) == [NoAnswer("Unreachable")]
        assert server.requests == []
        sources.close()
    assert len([r for r in caplog.records if "never a metric source" in r.getMessage()]) == 1


async def test_namespaces() -> None:
    labels = {"ml": {"team": "ml", "x": "y"}, "web": {"team": "web"}}
    sources = registry(namespace_labels=labels.get)
    await sources.update(source_object("open", "http://prometheus"))
    await sources.update(
        source_object("p", "http://prometheus", spec={"allowedNamespaces": {"matchLabels": {"team": "ml"}}})
    )
    assert [sources.allowed("p", each) for each in ("ml", "web", "unknown")] == [True, False, False]
    assert sources.allowed("open", "unknown")
    sources.close()


async def test_token_is_sent_and_renewed_when_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = "first-token\n"

    async def read_secret(name: str, key: str) -> str | None:
        assert (name, key) == ("prom-token", "token")
        return token

    def guard(connection: Any, request: bytes, end: Any) -> None:
        known = b"Authorization: Bearer second-token\r\n" in request
        (succeeding() if known else answering("401 Unauthorized", b""))(connection, request, end)

    with Misbehaving(guard) as server:
        sources = registry(read_secret=read_secret)
        await sources.update(source_object("p", server.url, headers={"X-Scope-OrgID": "ml"}, **TOKEN))
        metrics = PrometheusMetrics(sources)
        assert await metrics.read("p", [QUERY], at=1.0) == [NoAnswer("HTTP 401")]
        assert b"Authorization: Bearer first-token\r\n" in server.requests[0]
        assert b"X-Scope-OrgID: ml\r\n" in server.requests[0]
        token = "second-token"
        assert await metrics.read("p", [QUERY], at=1.0) == [Answer(())]
        sources.close()
    assert "token" not in caplog.text.replace("prom-token", "")


async def test_secret_that_appears_later() -> None:
    secrets: dict[str, str] = {}

    async def read_secret(name: str, key: str) -> str | None:
        return secrets.get(name)

    sources = registry(read_secret=read_secret)
    await sources.update(source_object("p", "http://prometheus", **TOKEN))
    assert "Secret prom-token" in problem(sources)
    secrets["prom-token"] = "two\nlines"
    await sources.refresh("p")
    assert "no token" in problem(sources)
    secrets["prom-token"] = "good"
    await sources.refresh("p")
    assert isinstance(sources.spec("p"), SourceSpec)
    sources.close()


async def test_secret_that_cannot_be_read() -> None:
    async def read_secret(name: str, key: str) -> str | None:
        raise ApiUnavailable("connection refused")

    sources = registry(read_secret=read_secret)
    await sources.update(source_object("p", "http://prometheus", **TOKEN))
    assert "Secret prom-token" in problem(sources)
    assert "can't be read at present" in problem(sources)


async def test_secret_that_must_not_be_read_names_the_right() -> None:
    async def read_secret(name: str, key: str) -> str | None:
        raise Denied("forbidden")

    sources = registry(read_secret=read_secret)
    await sources.update(source_object("p", "http://prometheus", **TOKEN))
    assert "Secret prom-token in the operator's namespace may not be read: grant" in problem(sources)


async def test_an_api_server_that_is_away_takes_no_working_source_away() -> None:
    answers: list[str | Exception] = ["token", ApiUnavailable("connection refused"), "token"]

    async def read_secret(name: str, key: str) -> str | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    sources = registry(read_secret=read_secret)
    obj = source_object("p", "http://prometheus", **TOKEN)
    await sources.update(obj)
    first = sources.server("p")
    assert first is not None
    await sources.update(obj)
    assert sources.server("p") is first
    assert not await sources.refresh("p")
    assert sources.server("p") is first
    answers.append(ApiUnavailable("connection refused"))
    await sources.update(source_object("p", "http://elsewhere", **TOKEN))
    assert "can't be read at present" in problem(sources), "a changed source must not go on at its old address"
    sources.close()


async def test_a_refresh_tells_whether_anything_changed() -> None:
    secrets: dict[str, str] = {}

    async def read_secret(name: str, key: str) -> str | None:
        return secrets.get(name)

    sources = registry(read_secret=read_secret)
    await sources.update(source_object("p", "http://prometheus", **TOKEN))
    await sources.update(source_object("plain", "http://prometheus"))
    assert sources.with_secrets() == ("p",)
    assert not await sources.refresh("p")
    for text, changed in (("first", True), ("first", False), ("second", True)):
        secrets["prom-token"] = text
        assert await sources.refresh("p") is changed
    del secrets["prom-token"]
    assert await sources.refresh("p")
    assert not await sources.refresh("unknown")
    assert sources.with_secrets() == ("p",)
    sources.close()


@pytest.mark.parametrize("text", ["", "\n", "# für uns\n", "no certificate"], ids=["empty", "blank", "umlaut", "text"])
async def test_a_ca_that_is_none_is_told_and_never_replaced_by_the_public_ones(text: str) -> None:
    async def read_secret(name: str, key: str) -> str | None:
        return text

    sources = registry(read_secret=read_secret)
    await sources.update(source_object("p", "https://prometheus", tls={"ca": {"secret": "ca", "key": "ca.crt"}}))
    assert "no PEM certificate" in problem(sources)


async def test_slow_secret_of_an_old_update_does_not_win() -> None:
    release = asyncio.Event()

    async def read_secret(name: str, key: str) -> str | None:
        await release.wait()
        return "token"

    sources = registry(read_secret=read_secret)
    old = asyncio.create_task(sources.update(source_object("p", "http://old", **TOKEN)))
    await asyncio.sleep(0)
    await sources.update(source_object("p", "http://new"))
    release.set()
    await old
    server = sources.server("p")
    assert server is not None
    assert server.source.connection.address == "http://new"
    removed = asyncio.create_task(sources.update(source_object("q", "http://old", **TOKEN)))
    await asyncio.sleep(0)
    sources.remove("q")
    await removed
    assert sources.server("q") is None
    sources.close()


async def test_unchanged_source_keeps_its_server_and_a_changed_one_does_not() -> None:
    sources = registry()
    obj = source_object("p", "http://prometheus")
    await sources.update(obj)
    first = sources.server("p")
    await sources.update({**obj, "metadata": {"name": "p", "resourceVersion": "2"}})
    assert sources.server("p") is first
    await sources.update(source_object("p", "http://other"))
    assert sources.server("p") is not first
    sources.close()


async def test_read_under_way_ends_when_its_source_goes() -> None:
    with Misbehaving(silent) as server:
        sources = registry()
        await sources.update(source_object("p", server.url, timeout="5s", maxConcurrency=1))
        reading = asyncio.create_task(PrometheusMetrics(sources).read("p", [QUERY, QUERY], at=1.0))
        while not server.requests:
            await asyncio.sleep(0.01)
        sources.remove("p")
        async with asyncio.timeout(1):
            results = await reading
        assert all(isinstance(each, NoAnswer) for each in results)


async def test_private_ca_is_trusted_alone(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secrets: dict[str, str] = {"ca": certificate.read_text(), "bad": "no certificate"}

    async def read_secret(name: str, key: str) -> str | None:
        return secrets.get(name)

    with Misbehaving(succeeding(), tls=context) as server:
        sources = registry(read_secret=read_secret)
        metrics = PrometheusMetrics(sources)
        url = server.url.replace("127.0.0.1", "localhost")
        await sources.update(source_object("p", url, tls={"ca": {"secret": "ca", "key": "ca.crt"}}))
        assert await metrics.read("p", [QUERY], at=1.0) == [Answer(())]
        await sources.update(source_object("p", url))
        assert await metrics.read("p", [QUERY], at=1.0) == [NoAnswer("Unreachable")]
        await sources.update(source_object("p", url, tls={"ca": {"secret": "bad", "key": "ca.crt"}}))
        assert "no PEM certificate" in problem(sources)


def test_public_authorities_are_not_added_to_a_private_one(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trust = tls_context(certificate.read_text())
    with Misbehaving(succeeding(), tls=context) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        client = Client(Target(url, {}, trust, AddressPolicy(allow_loopback=True), DEFAULT_LIMITS))
        result, _ = client.ask("up", parse.matrix, at=1.0, call=Call(time.monotonic() + 5))
        client.close()
    assert result == Answer(())
    assert len(trust.get_ca_certs()) == 1


def self_signed(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "tls.crt", directory / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def test_hazard_h05_headers_and_token_are_sent_once_however_many_queries_there_were() -> None:
    """Somebody's provider appended its token to headers that it kept: every query was longer than the last."""

    async def secret(name: str, key: str) -> str | None:
        return "t0ken"

    sources = registry(read_secret=secret)
    with Misbehaving(succeeding()) as server:
        await sources.update(source_object("p", server.url, headers={"X-Scope-OrgID": "ml"}, **TOKEN))
        reader = PrometheusMetrics(sources)
        for _ in range(300):
            assert await reader.read("p", [QUERY], at=1000.0) == [Answer(())]
        sources.close()
    heads = {request.partition(b"\r\n\r\n")[0] for request in server.requests}
    assert (len(server.requests), len(heads)) == (300, 1)
    lines = [line.lower() for line in heads.pop().split(b"\r\n")]
    assert lines.count(b"authorization: bearer t0ken") == 1
    assert lines.count(b"x-scope-orgid: ml") == 1

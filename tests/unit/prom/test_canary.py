"""A listener on loopback that no metric source may ever reach, by whatever way its address is written."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from modelrollout.adapters.prom.metrics import PrometheusMetrics
from modelrollout.adapters.prom.sources import Sources
from modelrollout.core.observation import SpecProblem
from modelrollout.ports import NoAnswer, SeriesQuery
from tests.unit.prom.conftest import no_secret, source_object
from tests.unit.prom.misbehaving import Misbehaving, succeeding

QUERY = SeriesQuery(("requests_total",), 10.0)
SPELLINGS = (
    *("http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "http://127.0.0.1:{port}/tenant/..//x"),
    *("http://127.1:{port}", "http://2130706433:{port}", "http://0x7f000001:{port}", "http://0177.0.0.1:{port}"),
    *("http://0.0.0.0:{port}", "http://0:{port}", "http://[::]:{port}", "http://[::1]:{port}"),
    *("http://[::ffff:127.0.0.1]:{port}", "http://[::ffff:7f00:1]:{port}", "http://[64:ff9b::7f00:1]:{port}"),
    *("http://localhost:{port}", "http://LOCALHOST.:{port}", "http://localhost.localdomain:{port}"),
    *("http://ip6-localhost:{port}", "http://ip6-loopback:{port}", f"http://{socket.gethostname()}:{{port}}"),
    *("http://someone@127.0.0.1:{port}", "http://prometheus@127.0.0.1:{port}", "http://prometheus:x@127.0.0.1:{port}"),
    *("http://127.0.0.1:{port}?x=http://prometheus", "http://127.0.0.1:{port}#@prometheus", "//127.0.0.1:{port}"),
    *("http:127.0.0.1:{port}", "http:///127.0.0.1:{port}", "http://prometheus\\@127.0.0.1:{port}"),
    *("HTTP://127.0.0.1:{port}", "ftp://127.0.0.1:{port}", "gopher://127.0.0.1:{port}/_x", "unix:///tmp/x.sock"),
    *("file:///etc/passwd", "http://127.0.0.1:{port}\r\nX-A: b", "http://１２７.0.0.1:{port}"),
)


@pytest.fixture
def canary() -> Iterator[Misbehaving]:
    with Misbehaving(succeeding()) as listening:
        yield listening


@pytest.mark.parametrize("address", SPELLINGS)
async def test_no_spelling_of_an_address_reaches_the_canary(canary: Misbehaving, address: str) -> None:
    port = canary.url.rpartition(":")[2]
    sources = Sources(read_secret=no_secret, namespace_labels=lambda _: {})
    await sources.update(source_object("p", address.format(port=port)))
    assert await PrometheusMetrics(sources).read("p", [QUERY], at=1.0) != []
    sources.close()
    assert canary.connections == 0


async def test_the_canary_would_sing(canary: Misbehaving) -> None:
    sources = Sources(read_secret=no_secret, namespace_labels=lambda _: {}, allow_loopback=True)
    await sources.update(source_object("p", canary.url))
    await PrometheusMetrics(sources).read("p", [QUERY], at=1.0)
    sources.close()
    assert canary.connections == 1


async def test_one_address_of_a_name_that_is_denied_is_passed_over(
    canary: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(canary.url.rpartition(":")[2])
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    both = [(*entry, ("127.0.0.1", port)), (*entry, ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: both)
    sources = Sources(read_secret=no_secret, namespace_labels=lambda _: {})
    await sources.update(source_object("p", f"http://prometheus.example.com:{port}"))
    assert not isinstance(sources.spec("p"), SpecProblem)
    assert await PrometheusMetrics(sources).read("p", [QUERY], at=1.0) == [NoAnswer("Unreachable")]
    sources.close()
    assert canary.connections == 0

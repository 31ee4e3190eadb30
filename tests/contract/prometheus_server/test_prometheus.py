"""The Prometheus that other tests are built on: exact samples, scrapes, outages and hangs."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster.exposition import Exposition
from e2e.cluster.prometheus import Prometheus, PrometheusFailed
from e2e.cluster.remote_write import Sample, stale
from e2e.cluster.scrape import kubernetes_config, static_config

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    with Prometheus() as server:
        yield server


def test_is_the_pinned_version(prometheus: Prometheus) -> None:
    with urllib.request.urlopen(f"{prometheus.url}/api/v1/status/buildinfo", timeout=5) as answer:
        assert b'"version":"3.15.0"' in answer.read()


def test_backfilled_samples_are_queried_at_their_own_times(prometheus: Prometheus) -> None:
    start = int(time.time()) - 3600
    lines = [f'hits_total{{pod="a"}} {10 * n} {start + 5 * n}' for n in range(13)]
    prometheus.backfill("\n".join(["# TYPE hits counter", *lines, "# EOF", ""]))
    [last] = prometheus.query('hits_total{pod="a"}', at=start + 60)
    assert (last.value, last.labels["pod"]) == (120.0, "a")
    [count] = prometheus.query("count_over_time(hits_total[60s])", at=start + 60)
    assert count.value == 12  # the range is open on its left side
    # Older than what is stored already, in any order.
    prometheus.write([Sample("hits_total", {"pod": "b"}, 7.0, start - 86400.0)])
    [old] = prometheus.query('hits_total{pod="b"}', at=start - 86400)
    assert old.value == 7.0


def test_a_stale_marker_ends_a_series(prometheus: Prometheus) -> None:
    at = time.time() - 600
    prometheus.write([Sample("ended", {}, 1.0, at), Sample("ended", {}, stale(), at + 5)])
    assert [r.value for r in prometheus.query("ended", at=at + 4)] == [1.0]
    assert prometheus.query("ended", at=at + 6) == []


def test_a_query_that_is_wrong_is_an_error_with_the_reason(prometheus: Prometheus) -> None:
    with pytest.raises(PrometheusFailed, match=r"answered 400: .*parse error"):
        prometheus.query("sum(")


def test_scrapes_follow_the_exposition_and_a_503_is_down() -> None:
    with Exposition("jobs 1\n") as exposition, Prometheus(targets=[exposition.target]) as server:
        server.wait_for("jobs", lambda found: [r.value for r in found] == [1.0])
        exposition.set("jobs 2\n")
        exposition.wait_scraped()
        server.wait_for("jobs", lambda found: [r.value for r in found] == [2.0])
        exposition.set(None)
        server.wait_for("up", lambda found: [r.value for r in found] == [0.0])
        server.wait_for("jobs", lambda found: found == [])


def test_survives_a_restart_with_address_and_data() -> None:
    with Prometheus() as server:
        at = time.time() - 60
        server.write([Sample("kept", {}, 42.0, at)])
        url = server.url
        server.stop()
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(f"{url}/-/ready", timeout=2)
        server.start()
        assert server.url == url
        assert [r.value for r in server.query("kept", at=at + 1)] == [42.0]


def test_a_hanging_server_times_out_and_wakes(prometheus: Prometheus) -> None:
    prometheus.hang()
    try:
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(f"{prometheus.url}/-/ready", timeout=0.3)
    finally:
        prometheus.wake()
    prometheus.wait_for("vector(1)")


def test_reload_replaces_the_configuration() -> None:
    with Exposition("found 1\n") as exposition, Prometheus() as server:
        server.reload(static_config([exposition.target], scrape_interval="200ms"))
        server.wait_for("found")


def test_a_bad_configuration_is_told_from_the_log() -> None:
    with pytest.raises(PrometheusFailed, match=r"ended before it was listening[\s\S]*no_such_key"):
        Prometheus(config="no_such_key: 1\n").__enter__()


def test_the_cluster_configuration_is_accepted(prometheus: Prometheus, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
                "current-context": "c",
            }
        )
    )
    prometheus.reload(kubernetes_config(kubeconfig, scrape_interval="1s"))
    with urllib.request.urlopen(f"{prometheus.url}/api/v1/status/config", timeout=5) as answer:
        assert b"job_name: pods" in answer.read()

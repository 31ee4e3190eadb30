"""Which addresses a source may have, and which ones a connection may lead to."""

from __future__ import annotations

import pytest

from modelrollout.adapters.addresses import AddressPolicy, addresses_of_pod, problem_of

STRICT = AddressPolicy()


@pytest.mark.parametrize(
    "address",
    [
        "http://prometheus.monitoring:9090",
        "https://prometheus.example.com",
        "https://prometheus.example.com/tenant/prometheus",
        "http://10.1.2.3:9090",
        "http://[fd12::1]:9090",
    ],
)
def test_good_addresses(address: str) -> None:
    assert problem_of(address, STRICT) is None


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://prometheus", "http://"),
        ("file:///etc/passwd", "http://"),
        ("prometheus:9090", "http://"),
        ("http://", "host"),
        ("http://:9090", "host"),
        ("http://prometheus:0", "host or port"),
        ("http://prometheus:99999", "no URL"),
        ("http://[::1", "no URL"),
        ("http://user@prometheus", "user name"),
        ("http://user:pw@prometheus", "user name"),
        ("http://@prometheus", "user name"),
        ("http://prometheus?x=1", "query"),
        ("http://prometheus?", "query"),
        ("http://prometheus#a", "fragment"),
        ("http://prometheus /x", "ASCII"),
        ("http://prometheus\n", "ASCII"),
        ("http://prométheus", "ASCII"),
        ("http://prometheus\\@evil", "ASCII"),
        ("http://" + "a" * 3000, "ASCII"),
        ("http://localhost:9090", "loopback"),
        ("http://LOCALHOST.", "loopback"),
        ("http://127.0.0.1:9090", "loopback"),
        ("http://127.9.9.9", "loopback"),
        ("http://[::1]:9090", "loopback"),
        ("http://[::ffff:127.0.0.1]", "loopback"),
        ("http://169.254.169.254", "metadata"),
        ("http://[fe80::1]", "link-local"),
        ("http://0.0.0.0:9090", "never"),
    ],
)
def test_bad_addresses(address: str, words: str) -> None:
    problem = problem_of(address, STRICT)
    assert problem is not None
    assert words in problem
    assert "pw" not in problem


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("10.0.0.1", True),
        ("8.8.8.8", True),
        ("2001:db8::1", True),
        ("127.0.0.1", False),
        ("127.1.2.3", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::1", False),
        ("169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
    ],
)
def test_connections(address: str, permitted: bool) -> None:
    assert STRICT.permits(address) is permitted


def test_settings() -> None:
    outside = AddressPolicy(allow_loopback=True, denied=frozenset({"10.96.0.1"}))
    assert outside.permits("127.0.0.1")
    assert outside.permits("::ffff:127.0.0.1")
    assert not outside.permits("169.254.169.254")
    assert not outside.permits("10.96.0.1")
    assert not outside.permits("::ffff:10.96.0.1")
    assert outside.permits("10.96.0.2")
    assert problem_of("http://localhost:9090", outside) is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.96.0.1", "http://10.96.0.1:443"),
        ("fd00:10:96::1", "https://[fd00:10:96::1]:443"),
        ("fd00:10:96:0::1", "https://[FD00:10:96::1]"),
        ("[fd00:10:96::1]", "https://[fd00:10:96::1]"),
    ],
)
def test_bug_the_api_server_of_an_ipv6_cluster_could_be_a_source(host: str, address: str) -> None:
    policy = AddressPolicy(denied=frozenset(addresses_of_pod({"KUBERNETES_SERVICE_HOST": host})))
    assert problem_of(address, policy) is not None
    assert problem_of("http://10.96.0.2", policy) is None


def test_every_address_of_the_pod_is_denied_and_names_are_none() -> None:
    assert addresses_of_pod({"POD_IPS": "10.1.2.3,fd12::7"}) == ("10.1.2.3", "fd12::7")
    assert addresses_of_pod({"POD_IPS": "", "KUBERNETES_SERVICE_HOST": "kubernetes.default.svc"}) == ()
    assert addresses_of_pod({}) == ()

"""Headers of a source, also when no schema has looked at them."""

from __future__ import annotations

import pytest

from modelrollout.adapters.prom import headers
from modelrollout.api.source import Connection, SecretKey


def connection(*pairs: tuple[str, str], token: bool = False) -> Connection:
    return Connection("http://p", SecretKey("s", "k") if token else None, headers=pairs)


def test_good_headers() -> None:
    assert headers.problem_of(connection(("X-Scope-OrgID", "ml"), ("Authorization", "Basic eA=="))) is None


@pytest.mark.parametrize(
    "pair",
    [("", "a"), ("X A", "a"), ("X-A:", "a"), ("X-A", "hunter2\r\nX-B: 1"), ("X-A", "hunter2é"), ("X-A", " hunter2")],
)
def test_what_is_no_header(pair: tuple[str, str]) -> None:
    problem = headers.problem_of(connection(pair))
    assert problem is not None
    assert "hunter2" not in problem


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Accept-Encoding"])
def test_framing_is_ours(name: str) -> None:
    assert name in (headers.problem_of(connection((name, "1"))) or "")


def test_one_authorization_only() -> None:
    assert "one of the two" in (headers.problem_of(connection(("authorization", "x"), token=True)) or "")


def test_token() -> None:
    assert headers.with_token(connection(("A", "b")), "t0ken\n") == {"A": "b", "Authorization": "Bearer t0ken"}
    assert headers.with_token(connection(("A", "b")), None) == {"A": "b"}
    for bad in ("", " \n", "a\nb", "é"):
        assert headers.with_token(connection(), bad) is None

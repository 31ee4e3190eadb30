"""`modelrollout assign`: where users stand, from options and from standard input, for people and for programs."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modelrollout.cli.main import app
from tests.unit.cli.test_start import HEAVY, loaded
from tests.unit.core.test_assignment_vectors import VECTORS

KEY = "serving/fraud/rev-a"


def run(*argv: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["assign", *argv], input=stdin)
    return done.exit_code, done.stdout, done.stderr


def test_bucket_and_place_of_several_users_in_their_order() -> None:
    assert run("--key", KEY, "--unit", "user-2", "--unit", "user 1") == (
        0,
        "9391  f06b6b717550c568  user-2\n4787  7a8c7edd6c475f1c  user 1\n",
        "",
    )


def test_with_a_weight_the_arm() -> None:
    assert run("--key", KEY, "--unit", "user-1", "--unit", "user-2", "--weight", "47.04") == (
        0,
        "4703  7866fae2829fde59  candidate  user-1\n9391  f06b6b717550c568  legacy     user-2\n",
        "",
    )
    assert "  legacy  " in run("--key", KEY, "--unit", "user-1", "--weight", "47.03")[1]


def test_published_vectors() -> None:
    for vector in VECTORS:
        for weight, arm in vector["arms"].items():
            code, said, _ = run("--key", vector["key"], "--unit", vector["unit"], "--weight", weight, "-o", "json")
            expected = {name: vector[name] for name in ("unit", "key", "place", "bucket")} | {"arm": arm}
            assert (code, json.loads(said)) == (0, expected)


def test_standard_input_is_a_user_a_line() -> None:
    code, said, wrong = run("--key", "k", "--unit", "-", "-o", "json", stdin="a b\r\n\nü".encode())
    assert (code, wrong) == (0, "")
    rows = [json.loads(line) for line in said.splitlines()]
    assert [row["unit"] for row in rows] == ["a b", "", "ü"]
    assert all("arm" not in row for row in rows)


def test_a_line_that_is_not_text_is_named() -> None:
    code, said, wrong = run("--key", "k", "--unit", "-", stdin=b"a\n\xff\n")
    assert (code, len(said.splitlines())) == (1, 1)
    assert wrong == "error: line 2 of the input: \\udcff is not UTF-8\n"


def test_a_user_steers_no_terminal() -> None:
    _, said, _ = run("--key", "k", "--unit", "\x1b[2Ja\nb")
    assert said.endswith("  \\x1b[2Ja\\nb\n")


@pytest.mark.parametrize("weight", ["-1", "100.01", "25.001", "101", "abc", "1e1", "", "١"])
def test_a_weight_that_is_none_is_refused(weight: str) -> None:
    code, said, wrong = run("--key", "k", "--unit", "a", f"--weight={weight}")
    assert (code, said) == (2, "")
    assert f"--weight {weight}: must be a share from 0 to 100 with at most two decimals" in wrong


@pytest.mark.parametrize(("weight", "arm"), [("25%", "candidate"), ("24.8", "legacy"), ("24.84", "candidate")])
def test_weights_as_in_a_manifest(weight: str, arm: str) -> None:
    assert arm in run("--key", "schlüssel", "--unit", "ü", "--weight", weight)[1]  # its bucket is 2483


@pytest.mark.parametrize(("key", "size"), [("", 0), ("ü" * 33, 66)])
def test_a_key_that_would_be_cut_off_is_refused(key: str, size: int) -> None:
    wrong = f"error: --key: the key must have 1 to 64 bytes as UTF-8, has {size}\n"
    assert run("--key", key, "--unit", "a") == (2, "", wrong)


def test_it_starts_light() -> None:
    assert loaded("assign", "--key", "k", "--unit", "a", "--unit", "b", "--weight", "5") & {*HEAVY, "rich"} == set()

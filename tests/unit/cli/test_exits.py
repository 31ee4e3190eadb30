"""Exit codes: one module says them, the reference lists them, an end with a complaint has one."""

from __future__ import annotations

import ast
import re

import pytest
import typer

from modelrollout.cli import exits
from tests.layout.documents import DOCS, ROOT

CLI = ROOT / "operator" / "modelrollout" / "cli"
CODES = {value for name, value in vars(exits).items() if name.isupper()}


def test_the_reference_lists_every_exit_code() -> None:
    table = (DOCS / "reference" / "cli.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == CODES


def test_no_other_module_has_codes_or_a_way_to_fail_of_its_own() -> None:
    for module in sorted(CLI.glob("*.py")):
        if module.name == "exits.py":
            continue
        tree = ast.parse(module.read_text())
        assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "fail"]
        names = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for part in node.targets
            for target in (part.elts if isinstance(part, ast.Tuple) else [part])
            if isinstance(target, ast.Name)
        }
        assert not names & {name for name in vars(exits) if name.isupper()}, module.name


def test_a_complaint_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        exits.fail("fraud: no such thing; name another", exits.INVALID)
    assert ended.value.exit_code == exits.INVALID
    assert capsys.readouterr() == ("", "error: fraud: no such thing; name another\n")

"""Starting the command line: what it loads, what its first page says, what it answers to a typing error."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest
from typer.testing import CliRunner

from modelrollout.cli.group import load
from modelrollout.cli.main import Commands, app
from tests.layout.documents import ROOT

HEAVY = ("kubernetes", "kopf", "numpy", "scipy", "pydantic", "aiohttp", "requests", "yaml")


def loaded(*arguments: str) -> set[str]:
    """Modules that a command line leaves in memory."""
    code = f"""
import json, sys
sys.argv = ["modelrollout", *{arguments!r}]
from modelrollout.cli.main import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_first_page_loads_no_command_and_no_library_of_tables() -> None:
    found = loaded("--help")
    commands = {entry.where.partition(":")[0] for entry in Commands.table.values()}
    assert found & {*HEAVY, *commands, "rich", "modelrollout.core"} == set()


def test_a_command_loads_itself_only() -> None:
    found = loaded("version", "--client")
    assert "modelrollout.cli.version" in found
    assert found & {*HEAVY, "rich", "modelrollout.cli.plan"} == set()


def test_the_first_page_lists_every_command_once() -> None:
    page = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    listed = [
        line.split()[0] for line in page.splitlines() if line.startswith("  ") and line.split()[0] in Commands.table
    ]
    assert listed == list(Commands.table)
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("name", list(Commands.table))
def test_every_command_of_the_table_exists_and_says_what_it_does(name: str) -> None:
    command = load(name, Commands.table[name])
    assert command.name == name
    assert command.help
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"})
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: modelrollout {name} ")


def test_a_typing_error_is_answered_with_what_was_meant() -> None:
    done = CliRunner().invoke(app, ["simulat"])
    assert done.exit_code == 2
    assert "there is no command 'simulat'; did you mean simulate?" in done.stderr
    done = CliRunner().invoke(app, ["xyzzy"])
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, "Error: there is no command 'xyzzy'")


def test_without_arguments_there_is_help() -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2
    assert "Usage: modelrollout" in done.output


def test_it_is_a_program_and_a_plugin_of_kubectl() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    plugins = {"kubectl-modelrollout", "kubectl-mr"}
    assert {name for name, where in scripts.items() if where == "modelrollout.cli.main:main"} == {
        "modelrollout",
        *plugins,
    }
    helpers = {name.replace("kubectl-", "kubectl_complete-") for name in plugins}
    assert {name for name, where in scripts.items() if where == "modelrollout.cli.complete:main"} == helpers
    assert len(scripts) == 5

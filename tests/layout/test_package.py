"""The shape of the repository: what may stand where, how long a module may be, what no file may hold."""

from __future__ import annotations

import importlib
import operator
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

import modelrollout
from tests.layout.documents import ROOT

OPERATOR = ROOT / "operator"
PACKAGE = OPERATOR / "modelrollout"
LONGEST = 320
ARCHIVES = {".whl", ".zip", ".gz", ".tgz", ".tar", ".xz", ".zst", ".so"}
BANNED_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
PUBLIC = ("core", "stats", "api", "api.v1alpha1", "catalog", "runtime", "adapters", "adapters.kube", "adapters.prom")

MACHINE = re.compile(
    r"/(?:home/(?!somebody\b|nonroot\b)|Users/|work(?:space)?/|root/)\w"  # paths of one machine
    r"|(?:index-url|extra-index-url|GOPROXY|registry)[ :='\"]+https?://(?!proxy\.golang\.org|pypi\.org)"  # registries
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:  # a source archive has no git
        return [p for p in ROOT.rglob("*") if p.is_file() and not {".venv", ".git"} & set(p.parts)]
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_operator_holds_nothing_but_the_package() -> None:
    there = {path.name for path in OPERATOR.iterdir() if path.name != "__pycache__"}
    assert there == {"modelrollout"}, "an __init__.py or module here would shadow the standard library's `operator`"


def test_stdlib_operator_is_not_shadowed() -> None:
    assert Path(operator.__file__).is_relative_to(sysconfig.get_path("stdlib"))


def test_package_comes_from_this_checkout() -> None:
    assert Path(modelrollout.__file__).is_relative_to(PACKAGE)


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+([a-z]+\d+|\.dev\d+)?", modelrollout.__version__)
    names = {name for name in vars(modelrollout) if not name.startswith("__")}
    packages = {path.name for path in PACKAGE.iterdir()} | {path.stem for path in PACKAGE.iterdir()}
    assert names - packages == set(), "the package itself exports its version, nothing else"


@pytest.mark.parametrize("name", PUBLIC)
def test_exported_names_exist(name: str) -> None:
    module = importlib.import_module(f"modelrollout.{name}")
    exported = getattr(module, "__all__", ())
    assert len(exported) == len(set(exported))
    assert [each for each in exported if not hasattr(module, each)] == []


def test_modules_are_short() -> None:
    lengths = {str(path.relative_to(OPERATOR)): len(path.read_text().splitlines()) for path in modules()}
    assert len(lengths) > 50
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_modules_are_named_for_what_they_hold() -> None:
    assert [path.name for path in modules() if path.name in BANNED_NAMES] == []


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in modules()}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_no_file_holds_a_machine_path_or_a_registry_address() -> None:
    found = []
    for path in tracked():
        if path.is_relative_to(ROOT / "tests" / "layout"):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in MACHINE.finditer(text)]
    assert found == []


def test_bug_a_downloaded_wheel_lay_in_the_root_of_the_tree() -> None:
    """Packages are named in the locks with their hashes; nobody could review one that is committed."""
    found = [str(path.relative_to(ROOT)) for path in tracked() if path.suffix in ARCHIVES]
    assert found == []


@pytest.mark.parametrize(
    "text", ["/home/someone/x", "index-url = https://mirror.example.org/", "GOPROXY=https://x.example.org"]
)
def test_such_text_would_be_found(text: str) -> None:
    assert MACHINE.search(text)


def test_locks_hold_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-bootstrap.txt"):
        text = (ROOT / name).read_text()
        pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
        assert pins
        assert text.count("--hash=sha256:") >= len(pins), name
        assert "://" not in "\n".join(line for line in text.splitlines() if not line.startswith("#")), name


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text()
    names = [re.split(r"[<>=!~ \[]", text)[0] for text in project["dependencies"]]
    assert [name for name in names if f"| {name} |" not in page] == []


def test_ci_runs_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    ordered = [line.split()[1] for line in text.splitlines() if line.startswith("run ")]
    assert ordered == ["test", "chaos", "e2e"]

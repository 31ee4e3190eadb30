"""The build cache: built once, never half, and told to the user."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from e2e.cluster.artifacts import (
    BuildError,
    MissingTool,
    artifact_path,
    cache_root,
    cached,
    drop_build_cache,
    go_binary,
    run_step,
)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(root))
    return root


def write_one(directory: Path) -> None:
    (directory / "file").write_text("content")


def test_cache_root_prefers_own_variable_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("MODELROLLOUT_CACHE", "/own")
    assert cache_root() == Path("/own")
    monkeypatch.delenv("MODELROLLOUT_CACHE")
    assert cache_root() == Path("/xdg/modelrollout")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_root() == Path("/home/somebody/.cache/modelrollout")


def test_an_artifact_is_built_once_per_key() -> None:
    built: list[Path] = []

    def build(directory: Path) -> None:
        built.append(directory)
        write_one(directory)

    first = cached("thing", key=["1"], build=build, label="thing", estimate_s=1)
    again = cached("thing", key=["1"], build=build, label="thing", estimate_s=1)
    other = cached("thing", key=["2"], build=build, label="thing", estimate_s=1)
    assert first == again != other
    assert (first / "file").read_text() == "content"
    assert len(built) == 2


def test_key_parts_do_not_run_together() -> None:
    assert artifact_path("thing", key=["ab", "c"]) != artifact_path("thing", key=["a", "bc"])


def test_two_builders_at_once_build_once() -> None:
    built: list[int] = []
    inside = threading.Event()
    release = threading.Event()

    def build(directory: Path) -> None:
        built.append(1)
        inside.set()
        assert release.wait(10)
        write_one(directory)

    def want() -> None:
        cached("thing", key=["1"], build=build, label="thing", estimate_s=1)

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    release.set()
    for thread in threads:
        thread.join(10)
    assert built == [1]


def test_a_failed_build_leaves_nothing_and_shows_the_tail(
    private_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(directory: Path) -> None:
        write_one(directory)
        run_step(["sh", "-c", "echo the reason >&2; exit 3"])

    with pytest.raises(BuildError, match=r"code 3:\nthe reason"):
        cached("thing", key=["1"], build=build, label="the thing", estimate_s=300)
    assert list((private_cache / "artifacts").iterdir()) == []
    told = capsys.readouterr().err
    assert "building the thing (about 5 min, first use only)" in told
    assert "the reason" in told


def test_what_a_killed_builder_left_is_not_used(private_cache: Path) -> None:
    final = artifact_path("thing", key=["1"])
    partial = final.with_name(f".{final.name}.partial")
    partial.mkdir(parents=True)
    (partial / "half").touch()
    path = cached("thing", key=["1"], build=write_one, label="thing", estimate_s=1)
    assert [each.name for each in path.iterdir()] == ["file"]


def test_a_trifle_is_built_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    cached("thing", key=["1"], build=write_one, label="thing", estimate_s=1)
    assert capsys.readouterr().err == ""


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingTool, match="'no-such-program' was not found; install it"):
        run_step(["no-such-program"])


def test_a_missing_go_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="Go was not found; install Go"):
        go_binary("thing", module_dir=tmp_path, package=".", label="thing", estimate_s=1)


def test_a_go_binary_depends_on_sources_and_flags(tmp_path: Path, private_cache: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.test/thing\n\ngo 1.21\n")
    source = 'package main\n\nvar word = "one"\n\nfunc main() { println(word) }\n'
    (module / "main.go").write_text(source)

    def build(ldflags: str = "") -> Path:
        return go_binary("thing", module_dir=module, package=".", ldflags=ldflags, label="thing", estimate_s=1)

    first = build()
    assert run_step(["sh", "-c", f"{first} 2>&1"]) == "one\n"
    assert build() == first
    stamped = build("-X main.word=two")
    assert stamped != first
    assert run_step(["sh", "-c", f"{stamped} 2>&1"]) == "two\n"
    (module / "main.go").write_text(source.replace("one", "three"))
    assert build() not in (first, stamped)
    drop_build_cache()
    assert not (private_cache / "go-build").exists()
    assert first.is_file()

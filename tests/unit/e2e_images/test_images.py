import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.images import build_image, fingerprint


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path / "cache"))


def tree(root: Path, *, mtime: int = 1_000) -> Path:
    (root / "etc/empty").mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/b").write_text("b")
    (root / "etc/a").write_text("a")
    (root / "etc/a").chmod(0o600)
    (root / "run").write_text("#!")
    (root / "run").chmod(0o700)
    for path in root.rglob("*"):
        os.utime(path, (mtime, mtime), follow_symlinks=False)
    return root


def build(*layers: dict[str, Path], tag: str = "1") -> Path:
    return build_image(
        "example.test/team/tool",
        tag=tag,
        layers=layers,
        entrypoint=["/run"],
        command=["--help"],
        env={"A": "1"},
        workdir="/work",
    )


def read(archive: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[list[tarfile.TarInfo]]]:
    """Index entry, manifest, config and the entries of each layer."""
    with tarfile.open(archive) as tar:

        def raw(name: str) -> bytes:
            member = tar.extractfile(name)
            assert member is not None
            return member.read()

        def blob(descriptor: dict[str, Any]) -> bytes:
            content = raw("blobs/" + descriptor["digest"].replace(":", "/"))
            assert len(content) == descriptor["size"]
            return content

        assert json.loads(raw("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        [entry] = json.loads(raw("index.json"))["manifests"]
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        layers = []
        for descriptor in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(descriptor))) as layer:
                layers.append(layer.getmembers())
        return entry, manifest, config, layers


def test_an_archive_is_a_valid_oci_layout(tmp_path: Path) -> None:
    archive = build({"/": tree(tmp_path / "tree")})
    assert archive.name == "tool.tar"
    entry, manifest, config, layers = read(archive)
    assert entry["annotations"]["io.containerd.image.name"] == "example.test/team/tool:1"
    assert entry["platform"]["os"] == "linux"
    assert config["architecture"] in ("amd64", "arm64")
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert config["config"]["Entrypoint"] == ["/run"]
    assert config["config"]["Cmd"] == ["--help"]
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["WorkingDir"] == "/work"
    assert config["config"]["Env"][0] == "A=1"
    assert config["config"]["Env"][1].startswith("PATH=/usr/local/sbin:")
    assert len(layers) == 1


def test_entries_are_sorted_and_say_nothing_of_the_machine(tmp_path: Path) -> None:
    *_, [members] = read(build({"/": tree(tmp_path / "tree")}))
    assert [(m.name, oct(m.mode), m.type) for m in members] == [
        ("bin", "0o777", tarfile.SYMTYPE),
        ("etc", "0o755", tarfile.DIRTYPE),
        ("etc/a", "0o644", tarfile.REGTYPE),
        ("etc/b", "0o644", tarfile.REGTYPE),
        ("etc/empty", "0o755", tarfile.DIRTYPE),
        ("run", "0o755", tarfile.REGTYPE),
        ("tmp", "0o1777", tarfile.DIRTYPE),
    ]
    assert members[0].linkname == "usr/bin"
    assert {(m.uid, m.gid, m.mtime, m.uname) for m in members} == {(0, 0, 0, "")}


def test_equal_trees_make_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build({"/": tree(tmp_path / "one", mtime=1_000)}).read_bytes()
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path / "another-cache"))
    second = build({"/": tree(tmp_path / "two", mtime=2_000)}).read_bytes()
    assert first == second


def test_an_image_is_built_once_and_anew_when_anything_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path / "tree")
    first = build({"/": root})
    capsys.readouterr()
    assert build({"/": root}) == first
    assert capsys.readouterr().err == ""
    others = [build({"/": root}, tag="2"), build({"/opt": root}), build({"/": root}, {"/": root})]
    (root / "etc/a").write_text("changed")
    others.append(build({"/": root}))
    assert len({first, *others}) == 5


def test_files_and_trees_are_put_where_the_layer_says(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    *_, layers = read(build({"/": root, "/usr/bin/tool": root / "run"}, {"/app": root / "etc"}))
    first, second = ([m.name for m in members] for members in layers)
    assert first[-3:] == ["usr", "usr/bin", "usr/bin/tool"]
    assert second == ["app", "app/a", "app/b", "app/empty"]


def test_byte_code_of_a_checkout_stays_out_and_that_of_the_cache_comes_in(tmp_path: Path) -> None:
    source, cached = tmp_path / "source", tmp_path / "cache/artifacts/tree"
    for root in (source, cached):
        (root / "__pycache__").mkdir(parents=True)
        (root / "__pycache__/m.pyc").write_bytes(b"x")
        (root / "m.py").write_text("")
    *_, [members] = read(build({"/source": source, "/cached": cached}))
    assert [m.name for m in members] == [
        "cached",
        "cached/__pycache__",
        "cached/__pycache__/m.pyc",
        "cached/m.py",
        "source",
        "source/m.py",
    ]


@pytest.mark.parametrize("change", ["content", "mode", "name", "link"])
def test_the_fingerprint_sees(change: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    before = fingerprint(root)
    if change == "content":
        (root / "etc/a").write_text("A")
    elif change == "mode":
        (root / "etc/a").chmod(0o755)
    elif change == "name":
        (root / "etc/a").rename(root / "etc/c")
    else:
        (root / "bin").unlink()
        (root / "bin").symlink_to("usr/sbin")
    assert fingerprint(root) != before


def test_a_missing_source_and_a_socket_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        build({"/x": tmp_path / "nothing"})
    with pytest.raises(FileNotFoundError, match="gone"):
        build({"/x": tmp_path / "cache/artifacts/gone"})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"pipe is neither a file nor a directory nor a link"):
        build({"/x": tmp_path / "pipe"})

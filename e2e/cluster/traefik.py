"""Traefik, built from its module, and its CRDs. A build takes minutes, so that nothing asks for one by itself."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.artifacts import artifact_path, cached, go_binary, go_module_dir

HERE = Path(__file__).parent
MODULE = HERE / "go" / "traefik"
VERSION = "3.7.13"
LEGO = "5.4.1"
"""Of go.mod: its client for ACME, which is compiled without those of DNS services."""
CRDS = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"


def binary() -> Path:
    """The program; built when it is not there."""
    return go_binary(
        "traefik",
        module_dir=_sources(),
        package="github.com/traefik/traefik/v3/cmd/traefik",
        ldflags="-s -w",
        label=f"Traefik {VERSION}",
        estimate_s=300,
    )


def built() -> bool:
    """Whether the program of these very sources has been built."""
    return _sources_path().is_dir() and any(_sources_path().parent.glob("traefik-[0-9a-f]*/traefik"))


def crds() -> Path:
    """Directory with all its CRDs, in one file: it watches every kind."""

    def copy(directory: Path) -> None:
        shutil.copyfile(
            go_module_dir("github.com/traefik/traefik/v3", f"v{VERSION}") / CRDS, directory / "traefik.yaml"
        )

    return cached("traefik-crds", key=[VERSION], build=copy, label=f"Traefik {VERSION} CRDs", estimate_s=5)


def _key() -> Sequence[str | bytes]:
    files = sorted(path for path in MODULE.rglob("*") if path.is_file())
    return [LEGO, *(path.relative_to(MODULE).as_posix() for path in files), *(path.read_bytes() for path in files)]


def _sources_path() -> Path:
    return artifact_path("traefik-sources", key=_key())


def _sources() -> Path:
    """The module to build, with the cut library beside it."""

    def assemble(directory: Path) -> None:
        shutil.copytree(MODULE, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dns"))
        lego = directory / "lego"
        original = go_module_dir("github.com/go-acme/lego/v5", f"v{LEGO}")
        cut = original / "providers" / "dns"

        def left_out(folder: str, names: list[str]) -> list[str]:
            if Path(folder) == cut:
                return names
            return [name for name in names if Path(folder) == original and name in ("cmd", "e2e", "docs")]

        shutil.copytree(original, lego, ignore=left_out, copy_function=shutil.copyfile)
        shutil.copyfile(MODULE / "dns" / "dns.go", lego / "providers" / "dns" / "dns.go")

    return cached("traefik-sources", key=_key(), build=assemble, label="sources of Traefik", estimate_s=5)


if __name__ == "__main__":
    print(binary())

"""What the operator's image leaves out of its locked packages: `python e2e/trim.py DIRECTORY`, in the Dockerfile too.

Tests; the half of SciPy that `scipy.special` does not need; of the Kubernetes client all typed APIs and models, since
the operator sends plain JSON. Standard library alone, as it runs where nothing is installed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

SCIPY = ("__config__.py", "__init__.py", "_cyutility*", "_distributor_init.py", "_lib", "special", "version.py")
"""All of SciPy that is kept."""
CLIENTS = ("kubernetes/client", "kubernetes/aio/client")
MODELS = ("__init__.py", "v1_managed_fields_entry.py", "v1_object_meta.py", "v1_owner_reference.py")
"""Models that importing a client imports, all that are kept."""


def tests(directory: Path) -> list[Path]:
    """Folders of tests of installed packages (50 MB with numpy and scipy)."""
    return [path for path in directory.rglob("tests") if path.is_dir()]


def unused(directory: Path) -> list[Path]:
    """All that the operator does not need of them. Raises FileNotFoundError when a package looks otherwise."""
    found = tests(directory)
    found += _others(directory / "scipy", SCIPY)
    for client in CLIENTS:
        found += _others(directory / client / "api", ("__init__.py",))
        found += _others(directory / client / "models", MODELS)
    return found


def remove(paths: list[Path]) -> None:
    """Remove files and folders, also such as lie in one another."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _others(folder: Path, kept: tuple[str, ...]) -> list[Path]:
    keep = {path for pattern in kept for path in folder.glob(pattern)}
    if not keep:
        raise FileNotFoundError(f"{folder} has none of {', '.join(kept)}: the package has changed, look at e2e/trim.py")
    return [path for path in folder.iterdir() if path not in keep]


if __name__ == "__main__":
    remove(unused(Path(sys.argv[1])))

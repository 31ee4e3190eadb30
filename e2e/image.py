"""The operator's container image, built without a container engine: `python -m e2e.image --out FILE`.

The same parts as in the Dockerfile: a Debian with nothing but Python, the locked packages, the operator. No shell, no
package manager, user 65532, nothing that it must write.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.chart import IMAGE
from e2e.cluster.images import build_image, python_base, python_wheels
from e2e.stage import ROOT

TAG = "dev"
LOCK = ROOT / "requirements.lock"
PACKAGES, CODE = "/opt/packages", "/opt/modelrollout"
ENVIRONMENT = {
    "PYTHONPATH": f"{CODE}:{PACKAGES}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    # One small matrix after another: threads of a BLAS only cost memory.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def archive(*, name: str = IMAGE, tag: str = TAG) -> Path:
    """OCI archive of image `name:tag`. Raises BuildError when a part can't be had."""
    layers = [
        {"/": python_base()},
        {PACKAGES: python_wheels(LOCK, trimmed=True)},
        {f"{CODE}/modelrollout": ROOT / "operator" / "modelrollout"},
    ]
    return build_image(
        name, tag=tag, layers=layers, entrypoint=["/usr/bin/python3", "-m", "modelrollout"], env=ENVIRONMENT
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Build it and put it at a place."""
    parser = argparse.ArgumentParser(prog="python -m e2e.image", description=__doc__)
    parser.add_argument("--name", default=IMAGE)
    parser.add_argument("--tag", default=TAG)
    parser.add_argument("--out", type=Path, required=True, help="OCI archive")
    args = parser.parse_args(argv)
    found = archive(name=args.name, tag=args.tag)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, args.out)
    print(f"{args.out}: {args.name}:{args.tag}, {args.out.stat().st_size / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

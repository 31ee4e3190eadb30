"""`python -m e2e.tutorials labels|llm`: a cluster with all that a tutorial needs but its rollout."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from e2e.cluster.__main__ import INTERRUPTED
from e2e.cluster.artifacts import BuildError
from e2e.cluster.processes import ClusterError
from e2e.cluster.providers import open_cluster
from e2e.installed import Release, prepare
from e2e.stage import Stage
from e2e.tutorials.scenes import SCENES, on

NAME = "tutorial"


def main() -> int:
    """Bring it up; errors of the machine are one message."""
    parser = argparse.ArgumentParser(prog="python -m e2e.tutorials", description=__doc__)
    parser.add_argument("tutorial", choices=SCENES)
    tutorial = parser.parse_args().tutorial
    try:
        bring_up(tutorial)
    except (ClusterError, BuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; `python -m e2e.cluster down --name {NAME}` ends what was started", file=sys.stderr)
        return INTERRUPTED
    return 0


def bring_up(tutorial: str) -> None:
    """A cluster with the operator, the model servers of a tutorial and an hour of requests."""
    begun = time.monotonic()
    print("a real Kubernetes, gateway and Prometheus come up on this machine; about 3 minutes, the first time 15 more")
    cluster = open_cluster(NAME)
    cluster.down()
    cluster.up("full")
    prepare(cluster)
    on(cluster)
    directory = Path(tempfile.gettempdir()) / f"modelrollout-{NAME}"
    shutil.rmtree(directory, ignore_errors=True)
    SCENES[tutorial](Stage(cluster, tutorial, directory))
    Release(cluster).install(namespaces=list(SCENES), scrape="1s")
    print(f"ready after {time.monotonic() - begun:.0f} s: two versions are up, requests arrive for an hour")


if __name__ == "__main__":
    sys.exit(main())

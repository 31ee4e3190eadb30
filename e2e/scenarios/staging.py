"""What directories of scenarios share: stages in namespaces of their own, and a place for what is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.cluster.provider import Cluster
from e2e.stage import Operator, Stage


def kept(factory: pytest.TempPathFactory, name: str) -> Path:
    """Where logs and records of a run are kept: $E2E_ARTIFACTS, or a temporary directory of this name."""
    wanted = os.environ.get("E2E_ARTIFACTS")
    path = Path(wanted) if wanted else factory.mktemp(name)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def staging(cluster: Cluster, operator: Operator, artifacts: Path) -> Iterator[Callable[[str], Stage]]:
    """Makes stages in namespaces of their own; they are removed at the end."""
    made: list[Stage] = []

    def make(name: str) -> Stage:
        namespace = f"{name}-{int(time.time()) % 100_000}"
        stage = Stage(cluster, namespace, artifacts / namespace, told=operator.tail)
        stage.create()
        made.append(stage)
        return stage

    yield make
    with ThreadPoolExecutor() as pool:
        list(pool.map(Stage.remove, made))

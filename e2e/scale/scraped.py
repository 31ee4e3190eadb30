"""An exporter as a process of its own, and what tells Prometheus to scrape it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from e2e.scale.counters import SHARDS


@contextmanager
def exporter(module: str, **arguments: int) -> Iterator[tuple[int, int]]:
    """A process of that module: its port and its number."""
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def scrapes(port: int, interval: float) -> str:
    """Prometheus' configuration: each shard is a target, scraped every so many seconds."""
    jobs: list[dict[str, Any]] = [
        {
            "job_name": f"shard-{shard}",
            "metrics_path": f"/metrics/{shard}",
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        }
        for shard in range(SHARDS)
    ]
    times = {"scrape_interval": f"{interval:g}s", "scrape_timeout": f"{interval:g}s"}
    return yaml.safe_dump({"global": times, "scrape_configs": jobs})

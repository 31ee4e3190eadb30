"""Exposition texts of many servers, scraped by one Prometheus while their counters move, restart and fail first.

A text in `expositions/` is what a server shows, with each value as what is added in one step; a sample after the
comment `born later` does not exist at first. All texts are served at once and go through the same three moments:

0. every counter stands at 1000, children that are born later are missing;
1. two steps more: 1000 + 2 v, and 2 v for those born later;
2. the process has restarted and counted one step: v.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.exposition import Exposition
from e2e.cluster.prometheus import Prometheus
from e2e.cluster.scrape import static_config

TEXTS = Path(__file__).parent / "expositions"
LATER = "# born later"
BASE = 1000.0
EVERY = 2.0
POD = "fraud-v8-5d9c7b6f4-x2x9z"
STEP = "exposition_step"

# What the profiles' hints tell people to set where the series do not come from the models' pods.
RELABEL: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "istio-source": [{"source_labels": ["destination_workload_namespace"], "target_label": "namespace"}],
    "contour": [{"source_labels": ["envoy_cluster_name"], "regex": "([^_]+)_.+", "target_label": "namespace"}],
    "ingress-nginx": [{"source_labels": ["ingress", "canary"], "separator": "/", "target_label": "arm"}],
    "traefik": [
        {"source_labels": ["service"], "regex": "traefik-.+", "target_label": "namespace", "replacement": "traefik"}
    ],
}
HONOR = frozenset({"ingress-nginx", "kube-state-metrics", "cadvisor"})


@dataclass(frozen=True, slots=True)
class Moments:
    """Epoch seconds at which every target had been scraped in each state."""

    stood: float
    moved: float
    restarted: float


def texts() -> list[str]:
    """Names of the texts: `vllm`, `vllm.old`."""
    return sorted(path.name.removesuffix(".txt") for path in TEXTS.glob("*.txt"))


def server_of(text: str) -> str:
    """The profile that a text belongs to."""
    return text.partition(".")[0]


def shown(text: str, moment: int) -> str:
    """What the server of a text exposes at a moment."""
    lines = []
    later = False
    for line in (TEXTS / f"{text}.txt").read_text().splitlines():
        if line.startswith("#"):
            later = later or line == LATER
            lines.append(line)
            continue
        sample, _, value = line.rpartition(" ")
        added = float(value)
        if moment > 0 or not later:
            stands = added if moment == 2 else 2 * moment * added + (0.0 if later else BASE)
            lines.append(f"{sample} {stands!r}")
        later = False
    return "\n".join([*lines, f"{STEP} {moment}", ""])


@contextlib.contextmanager
def scraped(prometheus: Prometheus) -> Iterator[Moments]:
    """Serve all texts to a running Prometheus and lead them through the moments; it scrapes them until the end."""
    with contextlib.ExitStack() as stack:
        served = {text: stack.enter_context(Exposition(shown(text, 0))) for text in texts()}
        prometheus.reload(_configuration({text: each.target for text, each in served.items()}))
        stack.callback(prometheus.reload, static_config([]))
        times = []
        for moment in range(3):
            _serve(served, moment)
            prometheus.wait_for(
                f"count({STEP} == {moment})",
                lambda found: [r.value for r in found] == [float(len(served))],
                timeout=60.0,
            )
            times.append(time.time())
            # A scrape under way began before this moment: let it end before the next text is there.
            _serve(served, moment)
            for each in served.values():
                each.wait_scraped(60.0)
        yield Moments(*times)


def _serve(served: Mapping[str, Exposition], moment: int) -> None:
    for text, each in served.items():
        each.set(shown(text, moment))


def _configuration(targets: Mapping[str, str]) -> str:
    document: dict[str, Any] = yaml.safe_load(static_config([], scrape_interval=f"{EVERY * 1000:g}ms"))
    document["scrape_configs"] = [_job(text, target) for text, target in targets.items()]
    return yaml.safe_dump(document, sort_keys=False)


def _job(text: str, target: str) -> dict[str, Any]:
    server = server_of(text)
    own = {"namespace": "gateways", "pod": "proxy-1"} if server in RELABEL else {"namespace": text, "pod": POD}
    return {
        "job_name": text,
        "honor_labels": server in HONOR,
        "static_configs": [{"targets": [target], "labels": own}],
        "metric_relabel_configs": [dict(each) for each in RELABEL.get(server, ())],
    }

"""Answers the operator's own queries over HTTP, from counters in closed form that follow the stored weights.

It knows the two shapes of query that the operator makes and nothing else of PromQL. What a real Prometheus answers is
tested elsewhere (`tests/contract/prom`, `make e2e`).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from e2e.chaos.traffic import Traffic
from modelrollout.adapters.prom.render import NAME_LABEL
from modelrollout.core.samples import Series
from modelrollout.ports import SeriesQuery


class Strange(ValueError):
    """A query of a shape that is not known here."""


@dataclass(eq=False)
class Prometheus:
    """One server for all namespaces."""

    traffic: dict[str, Traffic] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    """Queries that could not be answered: the harness is behind the operator."""
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/api/v1/query", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """End."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        text = str(form["query"])
        at = min(float(str(form["time"])), time.time())
        try:
            query, totals = parsed(text)
        except Strange:
            self.strange.append(text)
            return web.json_response({"status": "error", "error": "not known here"}, status=422)
        names = query.namespaces or tuple(self.traffic)
        known = [self.traffic[name] for name in names if name in self.traffic]
        series = [one for traffic in known for one in traffic.series(query, at) if _wanted(one, query)]
        result = [_total(one, at) for one in series] if totals else [_samples(one) for one in series]
        kind = "vector" if totals else "matrix"
        return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})


def parsed(text: str) -> tuple[SeriesQuery, bool]:
    """A query as the operator meant it, and whether it wants increases. Raises Strange."""
    window = re.search(r"\[(\d+)(ms|s)\]", text)
    names = re.findall(rf'"{NAME_LABEL}", "(\w+)"', text)
    totals = bool(names)
    if not totals:
        found = re.match(r'\{__name__=~?"([\w|:]+)"', text)
        names = found[1].split("|") if found else []
    if window is None or not names:
        raise Strange(text)
    seconds = int(window[1]) / (1000 if window[2] == "ms" else 1)
    scope = re.search(r'[{,]namespace=~?"([^"]*)"', text)
    pods = re.search(r'[{,]pod=~"((?:[^"\\]|\\.)*)"', text)
    pattern = pods[1].replace("\\\\", "\\") if pods else ""
    namespaces = tuple(scope[1].split("|")) if scope else ()
    return SeriesQuery(tuple(names), seconds, namespaces=namespaces, pods=pattern), totals


def _wanted(series: Series, query: SeriesQuery) -> bool:
    return not query.pods or re.fullmatch(query.pods, series.labels["pod"]) is not None


def _samples(series: Series) -> dict[str, Any]:
    pairs = zip(series.times, series.values, strict=True)
    return {"metric": dict(series.labels), "values": [[at, repr(value)] for at, value in pairs]}


def _total(series: Series, at: float) -> dict[str, Any]:
    labels = dict(series.labels)
    labels[NAME_LABEL] = labels.pop("__name__")
    return {"metric": labels, "value": [at, repr(series.values[-1] - series.values[0])]}

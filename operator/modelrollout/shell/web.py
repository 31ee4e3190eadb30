"""/livez, /readyz and /metrics on a site of our own. Nothing a request carries is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest

Check = Callable[[], str | None]
"""Why something is not well, or None."""


class Site:
    """The server; `address` is known once it has started."""

    def __init__(self, *, alive: Check, ready: Check, registry: CollectorRegistry) -> None:
        self._alive = alive
        self._ready = ready
        self._registry = registry
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the address can't be had."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0]
        self.address = f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Stop to listen."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer(self._alive())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._ready())

    async def _metrics(self, _: web.Request) -> web.Response:
        # Numbers belong to the loop. Their text, of thousands of rollouts, would hold it up for a second.
        numbers = _Collected(tuple(self._registry.collect()))
        body = await asyncio.to_thread(generate_latest, numbers)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


@dataclass(frozen=True, slots=True)
class _Collected:
    """What a registry said at a moment."""

    families: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        return self.families


def _answer(problem: str | None) -> web.Response:
    return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")

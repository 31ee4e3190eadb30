"""A gateway for tests: splits real HTTP requests between two arms by weight, on loopback."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web


@dataclass
class Gateway:
    """Of every 100 requests the first `weight` go to the candidate. `seen` keeps request headers."""

    legacy: int
    candidate: int
    weight: int = 0
    port: int = 0
    seen: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/predict"


@asynccontextmanager
async def serve(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Run the gateway."""
    numbers = itertools.count()
    session = aiohttp.ClientSession()

    async def forward(request: web.Request) -> web.Response:
        # 37 and 100 have no common divisor: the candidate's part is spread over each hundred.
        to_candidate = next(numbers) * 37 % 100 < gateway.weight
        port = gateway.candidate if to_candidate else gateway.legacy
        if request.path == "/predict":
            gateway.seen.append(dict(request.headers))
        try:
            async with session.request(
                request.method,
                f"http://127.0.0.1:{port}{request.path}",
                data=await request.read(),
                headers={"content-type": request.content_type},
            ) as answer:
                headers = {k: v for k, v in answer.headers.items() if k.lower().startswith("x-")}
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers=headers,
                    content_type=answer.content_type,
                )
        except aiohttp.ClientError:
            return web.Response(status=503, text="no healthy upstream")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        gateway.port = runner.addresses[0][1]
        yield gateway
    finally:
        await session.close()
        await runner.cleanup()

"""A proxy before Prometheus that can lie: down, hanging, NaN, empty, partial. Run inside the cluster's network.

`python -m e2e.liar --upstream URL --port 9900`; `POST /mode/NAME` switches, `GET /mode` tells. With `?channel=C` that
holds for the queries with the header `X-Scope-OrgID: C` alone, so that several ways to fail can be tried side by side.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from typing import Any

import aiohttp
from aiohttp import web

MODES = ("honest", "unavailable", "hang", "nan", "empty", "partial", "garbage")
CHANNEL = "X-Scope-OrgID"


class Liar:
    """Passes queries on, or answers them as `mode` says."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.modes: dict[str, str] = {}
        self.asked: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one query."""
        channel = request.headers.get(CHANNEL, "")
        mode = self.modes.get(channel, "honest")
        self.asked[channel] += 1
        match mode:
            case "unavailable":
                return web.Response(
                    status=503, text="secret-marker: upstream connect error", headers={"Retry-After": "30"}
                )
            case "hang":
                await asyncio.sleep(3600)
            case "garbage":
                return web.Response(text="<html>secret-marker</html>", content_type="text/html")
            case "empty":
                return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})
        body = await request.read()
        url = f"{self.upstream}{request.rel_url}"
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.request(request.method, url, data=body, headers=_kept(request)) as upstream,
            ):
                answer: dict[str, Any] = await upstream.json()
        except aiohttp.ClientError:
            return web.Response(status=502)
        if mode == "nan":
            for series in answer.get("data", {}).get("result", []):
                series["values"] = [[t, "NaN"] for t, _ in series.get("values", [])]
        if mode == "partial":
            answer["warnings"] = ["secret-marker: 1 of 2 stores did not answer"]
        return web.json_response(answer, status=upstream.status)

    async def switch(self, request: web.Request) -> web.Response:
        """Change the mode."""
        name = request.match_info["name"]
        if name not in MODES:
            return web.json_response({"error": f"modes: {', '.join(MODES)}"}, status=400)
        self.modes[request.query.get("channel", "")] = name
        return web.json_response({"mode": name})

    async def tell(self, request: web.Request) -> web.Response:
        """Say the mode and how many queries came."""
        channel = request.query.get("channel", "")
        return web.json_response({"mode": self.modes.get(channel, "honest"), "asked": self.asked[channel]})


def _kept(request: web.Request) -> dict[str, str]:
    return {"Content-Type": request.content_type}


def main() -> None:
    """Serve on loopback until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    liar = Liar(arguments.upstream.rstrip("/"))
    app = web.Application(client_max_size=8 * 2**20)
    app.add_routes(
        [
            web.post("/mode/{name}", liar.switch),
            web.get("/mode", liar.tell),
            web.route("*", "/api/{rest:.*}", liar.answer),
        ]
    )
    print(json.dumps({"port": arguments.port}), flush=True)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()

"""The API server as the proxy and the witness reach it: with the administrator's certificate."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import aiohttp
from aiohttp import web
from yarl import URL

SKIPPED = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})


class Upstream:
    """One pool of connections."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        forever = aiohttp.ClientTimeout(total=None, connect=5.0)
        # Answers are read on the way, and passed on as they are.
        plain = {"Accept-Encoding": "identity"}
        connector = aiohttp.TCPConnector(ssl=tls or True, limit=0)
        self.session = aiohttp.ClientSession(connector=connector, timeout=forever, headers=plain)

    @classmethod
    def of(cls, kubeconfig: Path) -> Upstream:
        """The API server of a kubeconfig with a client certificate."""
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        return cls(str(cluster["server"]), tls)

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()

    async def exchange(
        self, request: web.Request, body: bytes, besides: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Pass a request on: code, headers and body of its answer. Raises aiohttp.ClientError.

        `besides`: what is asked for in the query beyond what the request asks.
        """
        url = self._url(request).update_query(dict(besides)) if besides else self._url(request)
        async with self.session.request(request.method, url, headers=_passed(request), data=body or None) as answer:
            return answer.status, answer.headers, await answer.read()

    @asynccontextmanager
    async def stream(self, request: web.Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Pass a watch on. Raises aiohttp.ClientError."""
        async with self.session.get(self._url(request), headers=_passed(request)) as answer:
            yield answer

    def _url(self, request: web.Request) -> URL:
        return URL(f"{self.url}{request.raw_path}", encoded=True)


def _passed(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() not in SKIPPED}

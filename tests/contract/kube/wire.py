"""Requests to an API server as they go over the wire, without any client that means well."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from modelrollout.adapters.kube.resources import NAMESPACES, Body, Resource

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """Code and body of an answer; the body is text where it is no JSON."""

    code: int
    body: Any

    @property
    def metadata(self) -> Body:
        found: Body = self.body["metadata"]
        return found

    @property
    def version(self) -> str:
        return str(self.metadata["resourceVersion"])

    @property
    def reason(self) -> tuple[int, str]:
        return self.code, self.body["reason"]

    @property
    def causes(self) -> set[tuple[str, str]]:
        """Reason and field of each finding."""
        found = {(cause["reason"], cause["field"]) for cause in self.body["details"].get("causes", ())}
        # The real one adds that it did not get as far as the rules.
        return {cause for cause in found if cause[1] != "<nil>"}


@dataclass(frozen=True)
class Wire:
    """One API server, and a namespace of its own."""

    session: aiohttp.ClientSession
    namespace: str

    async def call(
        self,
        method: str,
        resource: Resource,
        name: str = "",
        body: Any = None,
        *,
        content: str = JSON,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        url = resource.path(self.namespace, name, subresource)
        headers = {"Content-Type": content}
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, url, params=query, data=data, headers=headers) as answer:
            text = await answer.text()
            return Answer(answer.status, _read(text) if text.startswith("{") else text)

    async def create(self, resource: Resource, name: str, body: Body, **metadata: object) -> Answer:
        full = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            **body,
            "metadata": {"name": name, **metadata},
        }
        return await self.call("POST", resource, "", full)

    async def get(self, resource: Resource, name: str, **query: str) -> Answer:
        return await self.call("GET", resource, name, query=query)

    async def list(self, resource: Resource, **query: str) -> Answer:
        return await self.call("GET", resource, query=query)

    async def put(self, resource: Resource, name: str, body: Body, *, subresource: str = "") -> Answer:
        return await self.call("PUT", resource, name, body, subresource=subresource)

    async def merge(self, resource: Resource, name: str, patch: Any, *, subresource: str = "") -> Answer:
        return await self.call("PATCH", resource, name, patch, content=MERGE, subresource=subresource)

    async def patch(self, resource: Resource, name: str, *operations: Body, subresource: str = "") -> Answer:
        return await self.call("PATCH", resource, name, list(operations), content=JSON_PATCH, subresource=subresource)

    async def delete(self, resource: Resource, name: str, options: Body | None = None) -> Answer:
        return await self.call("DELETE", resource, name, options)

    @asynccontextmanager
    async def watch(self, resource: Resource, **query: str) -> AsyncIterator[AsyncIterator[Body]]:
        """Events of a watch; its end is the end of the iterator."""
        params = {"watch": "true", **query}
        async with self.session.get(resource.path(self.namespace), params=params) as answer:
            assert answer.status == 200, await answer.text()
            try:
                yield _lines(answer)
            finally:
                if answer.connection is not None and answer.connection.transport is not None:
                    # Over TLS a mere close waits for a goodbye that nobody reads any more.
                    answer.connection.transport.abort()


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[Body]:
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _read(line)


def _read(text: str | bytes) -> Any:
    # Who set which field is nothing that anybody here depends on.
    return json.loads(text, object_hook=lambda found: {key: found[key] for key in found if key != "managedFields"})


@asynccontextmanager
async def wired(kubeconfig: Path, namespace: str) -> AsyncIterator[Wire]:
    """The server of this kubeconfig, in a new namespace of that name."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context: ssl.SSLContext | bool = True
    if "certificate-authority" in cluster:
        context = ssl.create_default_context(cafile=kubeconfig.parent / cluster["certificate-authority"])
        context.load_cert_chain(kubeconfig.parent / user["client-certificate"], kubeconfig.parent / user["client-key"])
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(cluster["server"], connector=connector) as session:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        wire = Wire(session, namespace)
        await wire.call("POST", NAMESPACES, "", body)
        yield wire

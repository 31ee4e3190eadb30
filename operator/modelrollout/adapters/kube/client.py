"""`KubeClient`: plain REST calls with dictionaries, bounded in time, never repeated behind the caller's back.

The official client does authentication and TLS (kubeconfig, in-cluster token and its refresh); requests and answers
are ours, so that a server newer than the models can't break reading.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException

from modelrollout import __version__
from modelrollout.adapters.kube.credentials import BEARER, configuration
from modelrollout.adapters.kube.failures import Expired, failure
from modelrollout.adapters.kube.resources import MANAGER, Body, Resource
from modelrollout.errors import ApiUnavailable, Denied

CALL_TIMEOUT = 5.0
LIST_TIMEOUT = 30.0
CONNECT_TIMEOUT = 3.0
PAGE = 100
"""Objects per request of a list: with their managed fields one is 5 to 20 KiB as text, three times that decoded."""

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Listing:
    """Every object of a collection, and the version a watch may go on from."""

    items: tuple[Body, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a collection; what came before a `first` page does not count any more."""

    items: tuple[Body, ...]
    resource_version: str
    first: bool


class KubeClient:
    """One connection pool to one API server.

    Every call raises Gone, Conflict, Denied, Throttled, ApiUnavailable or Bug (`failures.failure`). After
    ApiUnavailable a write may or may not have happened: read again.

    A call that the server does not know the sender of (401) is repeated once if newer credentials are to be had:
    tokens end while the process goes on.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        renew: Callable[[], Awaitable[Configuration]],
        timeout: float = CALL_TIMEOUT,
        manager: str = MANAGER,
    ) -> None:
        self._api = api
        self._renew = renew
        self._renewing = asyncio.Lock()
        self._api.user_agent = f"{manager}/{__version__}"
        self._manager = manager
        self._timeout = timeout

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        *,
        context: str | None = None,
        timeout: float = CALL_TIMEOUT,
        manager: str = MANAGER,
    ) -> KubeClient:
        """A client for this kubeconfig, or for the pod's service account without one; opens no connection yet.

        `manager`: field manager of its writes and name of its user agent.

        Raises Denied when there are no usable credentials.
        """
        api = ApiClient(await configuration(kubeconfig, context))
        return cls(api, renew=lambda: configuration(kubeconfig, context), timeout=timeout, manager=manager)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]  # no types there

    async def get(self, resource: Resource, namespace: str, name: str) -> Body:
        """One object as stored now."""
        return await self._call("GET", resource, namespace, name)

    async def list_all(
        self, resource: Resource, namespace: str = "", *, selector: str = "", page: int = PAGE
    ) -> Listing:
        """Every object, read in pages; all namespaces without `namespace`."""
        items: list[Body] = []
        version = ""
        async for part in self.pages(resource, namespace, selector=selector, page=page):
            if part.first:
                items.clear()
            items.extend(part.items)
            version = part.resource_version
        return Listing(tuple(items), version)

    async def pages(
        self, resource: Resource, namespace: str = "", *, selector: str = "", page: int = PAGE
    ) -> AsyncIterator[Page]:
        """Every object, page by page, so that never more than one page is in memory.

        The pages may take longer than the server keeps a version: then they begin anew, once, with a `first` page.
        """
        for _ in range(2):
            with suppress(Expired):
                async for part in self._pages(resource, namespace, selector, page):
                    yield part
                return
        raise ApiUnavailable(
            "the server forgets the list faster than it can be read", subject=resource.subject(namespace, "")
        )

    async def create(self, resource: Resource, namespace: str, body: Body) -> Body:
        """Create an object; Conflict when there is one of that name."""
        return await self._call("POST", resource, namespace, query={"fieldManager": self._manager}, body=body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        """Replace an object whole; Conflict unless it is at the body's resourceVersion."""
        return await self._call("PUT", resource, namespace, name, query={"fieldManager": self._manager}, body=body)

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Body, *, subresource: str = ""
    ) -> Body:
        """Merge-patch; a `metadata.resourceVersion` in it makes it conditional."""
        return await self._patch(resource, namespace, name, patch, content=MERGE_PATCH, subresource=subresource)

    async def json_patch(
        self, resource: Resource, namespace: str, name: str, operations: Sequence[Body], *, subresource: str = ""
    ) -> Body:
        """JSON Patch; a failed `test` is a Conflict and nothing is changed."""
        return await self._patch(
            resource, namespace, name, list(operations), content=JSON_PATCH, subresource=subresource
        )

    async def apply(self, resource: Resource, namespace: str, name: str, body: Body, *, force: bool) -> Body:
        """Server-side apply; creates the object when it is missing. Conflict over fields of others unless `force`."""
        query = {"force": "true"} if force else {}
        return await self._patch(resource, namespace, name, body, content=APPLY_PATCH, query=query)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Delete an object; with `uid` only that very one."""
        body: Body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        await self._call("DELETE", resource, namespace, name, body=body)

    async def _pages(self, resource: Resource, namespace: str, selector: str, page: int) -> AsyncIterator[Page]:
        query = {"limit": str(page)} | ({"labelSelector": selector} if selector else {})
        while True:
            answer = await self._call("GET", resource, namespace, query=query, timeout=LIST_TIMEOUT)
            metadata = answer.get("metadata") or {}
            # Items of a list carry neither, and projections are told apart by them.
            kind: Body = {"apiVersion": resource.api_version, "kind": resource.kind}
            items = tuple(kind | item for item in answer.get("items") or ())
            yield Page(items, str(metadata.get("resourceVersion", "")), first="continue" not in query)
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]
            del answer, items  # or two pages are in memory while the next one is read

    async def _patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Body | list[Body],
        *,
        content: str,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Body:
        return await self._call(
            "PATCH",
            resource,
            namespace,
            name,
            subresource=subresource,
            query={"fieldManager": self._manager, **(query or {})},
            body=body,
            content=content,
        )

    async def _call(
        self,
        method: str,
        resource: Resource,
        namespace: str,
        name: str = "",
        *,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
        body: Body | list[Body] | None = None,
        content: str = JSON,
        timeout: float | None = None,
    ) -> Body:
        subject = resource.subject(namespace, name)
        limit = aiohttp.ClientTimeout(total=timeout or self._timeout, connect=CONNECT_TIMEOUT)
        for again in (True, False):
            try:
                # `param_serialize` adds the credentials; a token file that has gone away is an OSError here.
                verb, url, headers, payload, _ = await self._api.param_serialize(
                    method,
                    resource.path(namespace, name, subresource),
                    query_params=list((query or {}).items()),
                    header_params={"Accept": JSON, "Content-Type": content},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                used = self._secret()
                answer = await self._api.call_api(verb, url, headers, payload, _request_timeout=limit)
                raw: bytes = await answer.read()  # type: ignore[no-untyped-call]  # no types there
            except TimeoutError as error:
                raise ApiUnavailable(f"no answer within {limit.total:g} s", subject=subject) from error
            except (aiohttp.ClientError, OSError, ConfigException) as error:
                raise ApiUnavailable(f"not reachable ({type(error).__name__})", subject=subject) from error
            if not (again and answer.status == 401 and await self._renewed(used)):
                break
        if not 200 <= answer.status < 300:
            raise failure(answer.status, answer.headers, raw, subject=subject)
        return _decoded(raw, subject)

    def _secret(self) -> str | None:
        secret: str | None = self._api.configuration.api_key.get(BEARER)
        return secret

    async def _renewed(self, refused: str | None) -> bool:
        """Whether there are other credentials now than those that were refused."""
        async with self._renewing:
            if self._secret() == refused:
                try:
                    newest = await self._renew()
                except Denied:
                    return False
                self._api.configuration.api_key = newest.api_key
                self._api.configuration.refresh_api_key_hook = newest.refresh_api_key_hook
            return self._secret() != refused


def _decoded(raw: bytes, subject: str) -> Body:
    try:
        body: Any = json.loads(raw)
    except ValueError as error:
        raise ApiUnavailable("the answer is not JSON", subject=subject) from error
    if not isinstance(body, dict):
        raise ApiUnavailable("the answer is not an object", subject=subject)
    return body

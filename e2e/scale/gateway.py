"""A stand-in for a gateway's controller: says of every raised route that it is taken, as the operator waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from e2e.scale.seed import parents_of
from e2e.scale.witness import Witness
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.resources import HTTPROUTES
from modelrollout.errors import Gone

LAG = 0.2


class StandIn(Witness):
    """Answers for every generation of every route that sends somebody to the candidate; a lowering waits for nobody."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self._kubeconfig = kubeconfig
        self._unanswered: dict[tuple[str, str], Mapping[str, Any]] = {}

    def _take(self, body: Mapping[str, Any]) -> None:
        meta = body["metadata"]
        key = meta["namespace"], meta["name"]
        raised = any(ref.get("weight", 1) for ref in body["spec"]["rules"][-1]["backendRefs"][1:])
        if raised and heard(body) != meta["generation"]:
            self._unanswered[key] = body
        else:
            self._unanswered.pop(key, None)

    async def answer(self, ended: threading.Event) -> None:
        """Watch and answer until told to end."""
        await self.start()
        async with await KubeClient.connect(self._kubeconfig, manager="scale-gateway") as client:
            while not ended.is_set():
                await asyncio.sleep(LAG)
                for (namespace, name), body in list(self._unanswered.items()):
                    self._unanswered.pop((namespace, name), None)
                    patch = {"status": {"parents": parents_of(dict(body))}}
                    with suppress(Gone):
                        await client.merge_patch(HTTPROUTES, namespace, name, patch, subresource="status")
        await self.stop()


def heard(route: Mapping[str, Any]) -> int | None:
    """The generation that the route's first parent has answered for."""
    told = (route.get("status") or {}).get("parents") or ()
    return next((parent["conditions"][0]["observedGeneration"] for parent in told), None)


@contextmanager
def answering(kubeconfig: Path) -> Iterator[None]:
    """Routes are answered for during the block, in a thread of its own: the measuring blocks its own loop."""
    ended = threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        try:
            asyncio.run(StandIn(kubeconfig).answer(ended))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10)
        if failed:
            raise failed[0]

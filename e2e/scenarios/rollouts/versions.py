"""Every version of the objects of one kind, as a watch of the API server tells them; polls would miss some."""

from __future__ import annotations

import json
from typing import Any

from e2e.stage import Stage


class Watch:
    """Begins with what there is now and goes on until `stop`."""

    def __init__(self, stage: Stage, kind: str) -> None:
        self._out = stage.directory / f"{kind}.watch"
        argv = ["kubectl", "-n", stage.namespace, "get", kind, "--watch", "-o", "json"]
        with self._out.open("wb") as out:
            self._running = stage.cluster.popen(argv, stdout=out.fileno())

    def stop(self) -> list[dict[str, Any]]:
        """End it and return the versions, oldest first."""
        self._running.stop(grace_s=2)
        text, found, at = self._out.read_text().rstrip(), [], 0
        decoder = json.JSONDecoder()
        while at < len(text):
            one, at = decoder.raw_decode(text, at)
            found.append(one)
            while at < len(text) and text[at].isspace():
                at += 1
        return found


def number(version: dict[str, Any]) -> int:
    """Its resourceVersion: one clock for all objects of a cluster."""
    return int(version["metadata"]["resourceVersion"])


def condition(version: dict[str, Any], kind: str) -> str | None:
    """Status of a condition in this version, None before the first status."""
    conditions = version.get("status", {}).get("conditions", [])
    return next((str(c["status"]) for c in conditions if c["type"] == kind), None)

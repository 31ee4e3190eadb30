"""`MetricSource` objects and Secrets for tests."""

from __future__ import annotations

from typing import Any


def source_object(name: str, url: str, *, spec: dict[str, Any] | None = None, **prometheus: Any) -> dict[str, Any]:
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "MetricSource",
        "metadata": {"name": name},
        "spec": {"prometheus": {"address": url, "timeout": "500ms", **prometheus}, **(spec or {})},
    }


async def no_secret(name: str, key: str) -> str | None:
    return None

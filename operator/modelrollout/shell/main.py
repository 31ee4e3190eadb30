"""Runs one operator process until a signal ends it.

Exit codes: 0 ended by a signal, 1 can't run or broke, 2 bad settings.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping

from modelrollout.adapters.kube.client import KubeClient
from modelrollout.errors import Denied
from modelrollout.shell import handlers
from modelrollout.shell.app import App
from modelrollout.shell.config import BadSettings, Settings, load
from modelrollout.shell.logs import configure
from modelrollout.shell.sync import WATCHED, Unusable

log = logging.getLogger(__name__)


def run(flags: Mapping[str, object]) -> int:
    """Run with these flags (by field of `Settings`, None: not given); returns the exit code."""
    try:
        settings = load(flags)
    except BadSettings as error:
        print(f"modelrollout: {error}", file=sys.stderr)
        return 2
    configure(settings.log_format, settings.log_level)
    return asyncio.run(serve(settings))


async def serve(settings: Settings) -> int:
    """Build everything, watch, and take everything down again."""
    if settings.kubeconfig is not None:
        # kopf's own login reads it from there.
        os.environ["KUBECONFIG"] = str(settings.kubeconfig)
    try:
        client = await KubeClient.connect(settings.kubeconfig)
    except Denied as error:
        log.critical("%s", error)
        return 1
    async with client:
        return await _serve(settings, client)


async def _serve(settings: Settings, client: KubeClient) -> int:
    app = App(settings, client)
    broken = asyncio.Event()
    try:
        await app.start(broken.set)
        # The engine runs already: what starts after kopf is taken for kopf's own at shutdown and cancelled.
        registry = handlers.registry(
            WATCHED, app.feed.event, inside=settings.kubeconfig is None, started=app.watching, stop=app.stop
        )
        await handlers.watch(registry, settings.namespace, broken)
    except (Unusable, OSError) as error:
        log.critical("%s", error)
        return 1
    except Exception:
        log.critical("the watch has failed", exc_info=True)
        return 1
    finally:
        await app.stop()
    return 1 if broken.is_set() else 0

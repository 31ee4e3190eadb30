"""Runs one operator process until a signal ends it.

Exit codes: 0 ended by a signal, 1 can't run or broke, 2 bad settings.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Mapping

from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.credentials import credentials
from modelrollout.errors import Denied
from modelrollout.shell import allocator, handlers
from modelrollout.shell.app import App
from modelrollout.shell.config import BadSettings, Settings, load
from modelrollout.shell.logs import configure
from modelrollout.shell.sync import Unusable

log = logging.getLogger(__name__)


def run(flags: Mapping[str, object]) -> int:
    """Run with these flags (by field of `Settings`, None: not given); returns the exit code."""
    try:
        settings = load(flags)
    except BadSettings as error:
        print(f"modelrollout: {error}", file=sys.stderr)
        return 2
    configure(settings.log_format, settings.log_level)
    allocator.tame()
    return asyncio.run(serve(settings))


async def serve(settings: Settings) -> int:
    """Build everything, watch, and take everything down again."""
    try:
        client = await KubeClient.connect(settings.kubeconfig)
    except Denied as error:
        log.critical("%s", error)
        return 1
    async with client:
        return await _serve(settings, client)


async def _serve(settings: Settings, client: KubeClient) -> int:
    app = App(settings, client)
    ending, broken = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)

    def failed() -> None:
        broken.set()
        ending.set()

    try:
        if await _unless(ending, app.start(failed)):
            watcher = handlers.Watcher(
                lambda: app.kinds,
                app.feed.event,
                login=lambda: credentials(settings.kubeconfig),
                namespaces=settings.namespace,
                selector=settings.selector,
                started=app.watching,
                failed=app.watch_failed,
            )
            await _unless(ending, watcher.run())
    except (Unusable, OSError) as error:
        log.critical("%s", error)
        return 1
    finally:
        await app.stop()
    return 1 if broken.is_set() else 0


async def _unless(ending: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do the work, but stop it when the end comes first; whether it was done. Raises what the work raises."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(ending.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        return False
    task.result()
    return True

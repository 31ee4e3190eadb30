"""Load for a completions server: `python -m e2e.models.prompts --url http://10.0.0.1/v1/completions --rate 50`.

Open loop: request k is due at start + k / rate, whatever became of the others. Ends by itself or on SIGTERM; the only
line on stdout is then how many answers there were of each status, as JSON (`0`: none came).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
from collections import Counter

import aiohttp

TOKENS = (16, 48)
"""Fewest and most that a prompt asks for."""
TIMEOUT = 30.0


async def run(url: str, host: str, *, rate: float, duration: float, seed: int = 0) -> Counter[int]:
    """Ask for so many seconds; the answers by status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    seen: Counter[int] = Counter()
    chance = random.Random(seed)
    limits = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(connector=limits, timeout=timeout) as session, asyncio.TaskGroup() as group:
        began = loop.time()
        for number in range(int(rate * duration)):
            try:
                await asyncio.wait_for(stop.wait(), max(0.0, began + number / rate - loop.time()))
                break
            except TimeoutError:
                group.create_task(_ask(session, url, host, chance.randint(*TOKENS), seen))
    return seen


async def _ask(session: aiohttp.ClientSession, url: str, host: str, tokens: int, seen: Counter[int]) -> None:
    body = {"model": "chat", "prompt": "hello", "max_tokens": tokens}
    try:
        async with session.post(url, json=body, headers={"host": host}) as answer:
            await answer.read()
            seen[answer.status] += 1
    except (aiohttp.ClientError, TimeoutError):
        seen[0] += 1


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m e2e.models.prompts", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--host-header", required=True)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--duration", type=float, default=60.0)
    given = parser.parse_args()
    seen = asyncio.run(run(given.url, given.host_header, rate=given.rate, duration=given.duration))
    print(json.dumps(dict(sorted(seen.items()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

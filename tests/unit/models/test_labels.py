"""Labels are delivered, again when it failed."""

from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import web

from e2e.models.labels import BATCH, Labels


async def deliver(statuses: Iterator[int], *, count: int) -> tuple[dict[str, int], list[int]]:
    """Post labels to a server that answers with these statuses; returns counts and the sizes of the posts."""
    sizes: list[int] = []

    async def feedback(request: web.Request) -> web.Response:
        sizes.append(len(await request.json()))
        status = next(statuses)
        if status == 503:
            return web.Response(status=503, text="no healthy upstream")
        counted = sizes[-1] if status == 200 else 0
        return web.json_response({"counted": counted, "unmatched": sizes[-1] - counted}, status=status)

    app = web.Application()
    app.router.add_post("/feedback", feedback)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    now = 0.0
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/feedback"
        async with aiohttp.ClientSession() as session:
            labels = Labels(session, url, clock=lambda: now)
            for number in range(count):
                labels.add({"id": str(number)}, due=1.0)
            assert not await labels.post_due()
            while labels.waiting:
                now += 1.0
                while await labels.post_due():
                    pass
            return labels.as_dict(), sizes
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([200], {"counted": 3, "unmatched": 0, "lost": 0}),
        ([503, 503, 200], {"counted": 3, "unmatched": 0, "lost": 0}),
        ([503, 503, 503], {"counted": 0, "unmatched": 0, "lost": 3}),
        ([404], {"counted": 0, "unmatched": 3, "lost": 0}),
    ],
)
async def test_a_failed_post_is_tried_three_times(statuses: list[int], expected: dict[str, int]) -> None:
    counts, sizes = await deliver(iter(statuses), count=3)
    assert counts == {**expected, "dropped": 0, "waiting": 0}
    assert sizes == [3] * len(statuses)


async def test_many_labels_go_in_several_posts() -> None:
    counts, sizes = await deliver(iter([200, 200]), count=BATCH + 1)
    assert sizes == [BATCH, 1]
    assert counts["counted"] == BATCH + 1

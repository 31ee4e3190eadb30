"""Command line of the load generator, as a process of its own: `python -m e2e.models.load --url ...`.

The first line on stdout is JSON with the control address, the last one the run's totals. The control endpoint
listens on loopback or a unix socket: `GET /summary?window=5`, `GET` and `POST /settings`, `POST /stop`.
"""

import argparse
import asyncio
import ipaddress
import json
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from e2e.models import records
from e2e.models.generator import Bounds, Generator, Target
from e2e.models.load_settings import BadSetting, Settings, checked, override
from e2e.models.train import HELDOUT_FILE, artifacts

MAX_DURATION = 86_400.0
MAX_WINDOW = 3_600.0


def application(generator: Generator) -> web.Application:
    """Return the control endpoint."""

    async def summary(request: web.Request) -> web.Response:
        text = request.query.get("window", "5")
        try:
            window = float(text)
        except ValueError:
            window = -1.0
        if not 0 < window <= MAX_WINDOW:
            return _bad(f"window must be seconds over 0 and up to {MAX_WINDOW:g}, found {text[:20]!r}")
        return web.json_response({**generator.summary(window), "settings": asdict(generator.settings)})

    async def settings(_: web.Request) -> web.Response:
        return web.json_response({"at": generator.wall(), "settings": asdict(generator.settings)})

    async def change(request: web.Request) -> web.Response:
        try:
            generator.settings = override(generator.settings, await request.json())
        except BadSetting as error:
            return _bad(str(error))
        except ValueError:
            return _bad("the body is not JSON")
        return await settings(request)

    async def stop(_: web.Request) -> web.Response:
        generator.stop()
        return web.json_response({"at": generator.wall()})

    app = web.Application()
    app.add_routes(
        [
            web.get("/summary", summary),
            web.get("/settings", settings),
            web.post("/settings", change),
            web.post("/stop", stop),
        ]
    )
    return app


def _bad(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)


async def run(generator: Generator, *, control: int | None, control_socket: Path | None) -> None:
    """Run to the end with the control endpoint open; SIGTERM and SIGINT end it early and orderly."""
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, generator.stop)
    runner = web.AppRunner(application(generator), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        where: int | str | None = None
        if control is not None:
            site = web.TCPSite(runner, "127.0.0.1", control)
            await site.start()
            where = runner.addresses[0][1]
        elif control_socket is not None:
            await web.UnixSite(runner, str(control_socket)).start()
            where = str(control_socket)
        print(json.dumps({"control": where, "run": generator.run_id}), flush=True)
        await generator.run()
        print(json.dumps(generator.summary(generator.elapsed())), flush=True)
    finally:
        await runner.cleanup()


def refuse_public(url: str) -> None:
    """Raise ValueError unless the URL's host is on this machine or in a private network."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"--url must be http://HOST:PORT/PATH, found {url!r}")
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(parts.hostname, parts.port or 80)}
    except socket.gaierror as error:
        raise ValueError(f"--url: host {parts.hostname!r} has no address: {error}") from error
    for address in addresses:
        if not ipaddress.ip_address(str(address).partition("%")[0]).is_private:
            raise ValueError(f"--url: {parts.hostname} is {address}, a public address; load goes to private ones only")


def pairs(items: Sequence[str]) -> dict[str, str]:
    """Parse `NAME=VALUE` items."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ValueError(f"a header must be NAME=VALUE, found {item!r}")
        found[name] = value
    return found


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(prog="python -m e2e.models.load", description="open-loop load for model servers")
    made.add_argument("--url", required=True, help="where predictions are posted, e.g. http://10.0.0.1/predict")
    made.add_argument("--host-header", help="Host header, for a route by hostname")
    made.add_argument("--rate", type=float, required=True, help="requests per second")
    made.add_argument("--duration", type=float, required=True, help="seconds until it ends by itself")
    made.add_argument("--max-requests", type=int, default=1_000_000, help="ends earlier after that many")
    made.add_argument("--out", type=Path, required=True, help="records, JSON lines; appended to")
    made.add_argument("--rows", type=Path, help="held-out rows (default: of the cached training)")
    made.add_argument("--users", type=int, default=1_000)
    made.add_argument("--user-header", default="x-user-id")
    made.add_argument("--bucket-header", action="append", default=[], help="NAME=KEY: the user's bucket under KEY")
    made.add_argument("--header", action="append", default=[], help="NAME=VALUE, sent by --header-share of the users")
    made.add_argument("--header-share", type=float, default=1.0, help="part of the users that send --header")
    made.add_argument("--feedback-url", help="default: /feedback beside --url; 'none' sends no labels")
    made.add_argument("--feedback-delay", type=float, default=5.0, help="seconds from answer to label")
    made.add_argument("--feedback-share", type=float, default=1.0, help="part of the answers whose label comes")
    made.add_argument("--linger", type=float, default=10.0, help="seconds to wait at the end for labels to be due")
    made.add_argument("--timeout", type=float, default=10.0)
    made.add_argument("--max-in-flight", type=int, default=512, help="beyond it requests are recorded as shed")
    made.add_argument("--no-keep-alive", action="store_true", help="a connection per request")
    made.add_argument("--seed", type=int, default=1)
    where = made.add_mutually_exclusive_group()
    where.add_argument("--control", type=int, help="port of the control endpoint on 127.0.0.1, 0 for any")
    where.add_argument("--control-socket", type=Path, help="control endpoint on a unix socket instead")
    return made


def build(arguments: argparse.Namespace) -> Generator:
    """Return the run that the arguments describe; ValueError or OSError with a message for people."""
    refuse_public(arguments.url)
    if not 0 < arguments.duration <= MAX_DURATION:
        raise ValueError(f"--duration must be over 0 and up to {MAX_DURATION:g} s, found {arguments.duration:g}")
    if arguments.max_requests < 1:
        raise ValueError(f"--max-requests must be at least 1, found {arguments.max_requests}")
    feedback = arguments.feedback_url or arguments.url.rsplit("/", 1)[0] + "/feedback"
    if feedback == "none":
        feedback = None
    else:
        refuse_public(feedback)
    headers = pairs(arguments.header)
    settings = Settings(
        rate=arguments.rate,
        users=arguments.users,
        header_share=arguments.header_share if headers else 0.0,
        feedback_delay=arguments.feedback_delay,
        feedback_share=arguments.feedback_share,
    )
    target = Target(
        url=arguments.url,
        feedback_url=feedback,
        host_header=arguments.host_header,
        segment_headers=headers,
        user_header=arguments.user_header,
        bucket_headers=pairs(arguments.bucket_header),
        timeout=arguments.timeout,
        max_in_flight=arguments.max_in_flight,
        keep_alive=not arguments.no_keep_alive,
    )
    bounds = Bounds(duration=arguments.duration, max_requests=arguments.max_requests, linger=arguments.linger)
    rows = records.read_rows(arguments.rows or artifacts() / HELDOUT_FILE)
    return Generator(target, rows, settings=checked(settings), bounds=bounds, out=arguments.out, seed=arguments.seed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 for arguments that can't be used."""
    arguments = parser().parse_args(argv)
    try:
        generator = build(arguments)
        asyncio.run(run(generator, control=arguments.control, control_socket=arguments.control_socket))
    except (ValueError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

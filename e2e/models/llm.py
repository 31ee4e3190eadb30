"""A stand-in for vLLM's OpenAI server: `python3 -m e2e.models.llm`, standard library only.

It waits instead of computing, and counts under vLLM's names with vLLM's buckets (operator/modelrollout/catalog/data/
vllm.toml has the sources). Environment: VARIANT (see VARIANTS), MODEL_NAME, MODEL_VERSION, PORT (0 = any free port).
The first line on stdout says which port it got.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from e2e.models.exposition import CONTENT_TYPE, Histogram, Scalar, render
from e2e.models.http11 import HttpServer, Refused, Request, Response, json_response

HANDLER = "/v1/completions"
ENGINE = "0"
MOST_TOKENS = 512
FIRST = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
    160,
    640,
    2560,
)
WHOLE = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds until the first token, and between tokens; each request differs by up to a fifth."""

    first: float
    token: float


VARIANTS: Mapping[str, Pace] = MappingProxyType(
    {"base": Pace(0.080, 0.010), "late": Pace(0.600, 0.010), "fast": Pace(0.060, 0.008)}
)
"""`late` waits for its first token, as one whose prompts are no longer cached; the whole answer is hardly slower."""


class Engine:
    """The server's answers and counters. Single-threaded: everything runs on the loop."""

    def __init__(self, model: str, version: str, pace: Pace) -> None:
        self._model, self._version, self._pace = model, version, pace
        labels = ("model_name", "engine")
        self._http = Scalar(
            "counter", "http_requests_total", "Requests by handler.", labels=("handler", "method", "status")
        )
        self._done = Scalar(
            "counter", "vllm:request_success_total", "Finished requests.", labels=(*labels, "finished_reason")
        )
        self._tokens = Scalar("counter", "vllm:generation_tokens_total", "Tokens generated.", labels=labels)
        self._first = Histogram("vllm:time_to_first_token_seconds", "First token.", bounds=FIRST, labels=labels)
        self._whole = Histogram("vllm:e2e_request_latency_seconds", "End to end.", bounds=WHOLE, labels=labels)
        self._mine = (model, ENGINE)
        for status in ("2xx", "4xx", "5xx"):
            self._http.child(HANDLER, "POST", status)
        for family in (self._first, self._whole):
            family.child(*self._mine)
        self.public = HttpServer(self.answer, on_refused=self._refuse)

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        match request.method, request.path:
            case "POST", "/v1/completions":
                response = await self._complete(request)
                self._http.add(HANDLER, "POST", f"{response.status // 100}xx")
                return response
            case "GET" | "HEAD", "/metrics":
                families: list[Scalar | Histogram] = [self._http, self._done, self._tokens, self._first, self._whole]
                return Response(200, render(families).encode(), content_type=CONTENT_TYPE)
            case "GET" | "HEAD", "/health" | "/healthz" | "/readyz":
                return json_response(200, {})
            case _:
                raise Refused(404, "path", f"no such path {request.path[:60]!r}; there is POST {HANDLER}")

    async def _complete(self, request: Request) -> Response:
        body = request.json()
        wanted = body.get("max_tokens", 16) if isinstance(body, dict) else None
        if not isinstance(wanted, int) or not 1 <= wanted <= MOST_TOKENS:
            return json_response(400, {"error": f"max_tokens must be a whole number from 1 to {MOST_TOKENS}"})
        began = time.perf_counter()
        await asyncio.sleep(self._pace.first * random.uniform(0.8, 1.2))
        self._first.observe(*self._mine, value=time.perf_counter() - began)
        await asyncio.sleep((wanted - 1) * self._pace.token * random.uniform(0.8, 1.2))
        self._whole.observe(*self._mine, value=time.perf_counter() - began)
        self._tokens.add(*self._mine, amount=wanted)
        self._done.add(*self._mine, "length")
        text = " ".join(["word"] * wanted)
        headers = {"x-model-version": self._version}
        choices = [{"index": 0, "text": text, "finish_reason": "length"}]
        return json_response(200, {"model": self._model, "choices": choices}, headers=headers)

    def _refuse(self, refused: Refused) -> Response:
        return json_response(refused.status, {"error": str(refused)})


async def serve(env: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. ValueError for an unknown variant."""
    name = env.get("VARIANT", "base")
    if name not in VARIANTS:
        raise ValueError(f"VARIANT={name!r} is unknown; known: {', '.join(VARIANTS)}")
    engine = Engine(env.get("MODEL_NAME", "chat"), env.get("MODEL_VERSION", name), VARIANTS[name])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = await engine.public.start(env.get("HOST", "0.0.0.0"), int(env.get("PORT", "8080")))
    print(json.dumps({"message": "serving", "port": port, "variant": name}), flush=True)
    await stop.wait()
    await engine.public.drain(linger=0.5, timeout=10.0)


def main() -> int:
    """Run the server; exit code 2 for a bad environment."""
    try:
        asyncio.run(serve(os.environ))
    except (ValueError, OSError) as error:
        print(f"llm server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

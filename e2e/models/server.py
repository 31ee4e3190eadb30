"""The model server of the end-to-end tests: `python3 -m e2e.models.server`, standard library only.

Environment: VARIANT (see `behaviour.VARIANTS`), MODEL_DIR (exported weights), MODEL_NAME, MODEL_VERSION, ARM
(role), POD_NAME, PEER_VERSIONS (comma list, children made ahead), BEHAVIOUR (JSON overrides), HOST, PORT,
ADMIN_PORT (0 = any free port). The first line on stdout says which ports it got.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.models import classifier
from e2e.models.behaviour import VARIANTS, BadBehaviour, Behaviour, as_dict, override, parse
from e2e.models.cohorts import Cohorts
from e2e.models.exposition import CONTENT_TYPE
from e2e.models.feedback import Feedback
from e2e.models.http11 import Dropped, HttpServer, Refused, Request, Response, json_response
from e2e.models.telemetry import Telemetry, score_bin

MAX_ROWS = 256
LINGER = 0.5
DRAIN_TIMEOUT = 10.0
THRESHOLD = 0.5
HANG = 120.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers."""

    model: str
    version: str
    arm: str
    pod: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every answer."""
        return {"x-model-arm": self.arm, "x-model-version": self.version, "x-pod": self.pod}


class ModelServer:
    """Routes, the model and its behaviour. Single-threaded: everything runs on the loop."""

    def __init__(
        self, model: classifier.Classifier, identity: Identity, behaviour: Behaviour, telemetry: Telemetry
    ) -> None:
        self._model, self._identity = model, identity
        self._start_behaviour = self.behaviour = behaviour
        self._telemetry = telemetry
        self._feedback = Feedback(telemetry)
        self._ready_at = time.monotonic() + behaviour.cold_load_s
        self._predictions = 0
        self._leaked: list[bytes] = []
        self._random = random.Random(f"{identity.pod}/{identity.version}")
        self.public = HttpServer(self.answer, on_refused=self._refuse)
        self.admin = HttpServer(self.answer_admin, on_refused=self._refuse_admin)

    async def answer(self, request: Request) -> Response:
        """Answer a request of the public port."""
        match request.method, request.path:
            case "POST", "/predict":
                return await self._predict(request)
            case "POST", "/feedback":
                outcome = self._feedback.take(request.json())
                status = 404 if outcome.counted == 0 and outcome.unmatched else 200
                return self._json(status, {"counted": outcome.counted, "unmatched": outcome.unmatched})
            case "GET" | "HEAD", "/metrics":
                text = self._telemetry.text().encode()
                return Response(200, text, content_type=CONTENT_TYPE, headers=self._identity.headers)
            case "GET" | "HEAD", "/healthz":
                return self._json(200, {"status": "ok"})
            case "GET" | "HEAD", "/readyz":
                why = self._unready()
                return self._json(503 if why else 200, {"status": why or "ready"})
            case _, "/predict" | "/feedback" | "/metrics" | "/healthz" | "/readyz":
                raise Refused(405, "method", f"{request.method[:20]} is not allowed on {request.path}")
            case _:
                raise Refused(404, "path", f"no such path {request.path[:60]!r}; there is POST /predict")

    async def answer_admin(self, request: Request) -> Response:
        """Answer a request of the admin port: read, change or restore the behaviour."""
        if request.path != "/behaviour":
            raise Refused(404, "path", "the admin port has /behaviour only")
        if request.method == "POST":
            try:
                # `curl -d` says that it sends a form.
                self.behaviour = override(self.behaviour, request.json(any_type=True))
            except BadBehaviour as error:
                raise Refused(400, "behaviour", str(error)) from error
        elif request.method == "DELETE":
            self.behaviour = self._start_behaviour
        elif request.method != "GET":
            raise Refused(405, "method", f"{request.method[:20]} is not allowed on /behaviour")
        at = time.time()
        if request.method != "GET":
            log("behaviour", at=at, behaviour=as_dict(self.behaviour))
        if self.behaviour.crash:
            # After the answer is out, so that the caller learns the time.
            asyncio.get_running_loop().call_later(0.02, os._exit, 1)
        return self._json(200, {"at": at, "pod": self._identity.pod, "behaviour": as_dict(self.behaviour)})

    async def _predict(self, request: Request) -> Response:
        began = time.perf_counter()
        body = request.json()
        if not isinstance(body, dict):
            raise Refused(400, "body", 'the body must be an object such as {"id": "a", "rows": [[...]]}')
        ident = body.get("id", None) or uuid.uuid4().hex
        if not isinstance(ident, str) or len(ident) > 128:
            raise Refused(400, "body", "id must be a string of at most 128 characters")
        try:
            rows = self._model.check(body.get("rows", body.get("row")), limit=MAX_ROWS)
        except classifier.BadRow as error:
            raise Refused(400, "rows", str(error)) from error
        self._telemetry.in_flight.add()
        try:
            response = await self._run(ident, rows)
        finally:
            self._telemetry.in_flight.add(amount=-1)
        version = self._identity.version
        if response.status == 200:
            self._telemetry.latency.observe(version, value=time.perf_counter() - began)
        self._telemetry.requests.add(version, str(response.status))
        return response

    async def _run(self, ident: str, rows: list[list[float]]) -> Response:
        behaviour = self.behaviour
        if time.monotonic() < self._ready_at:
            return self._json(503, {"id": ident, "error": "the model is still loading"})
        self._predictions += 1
        if behaviour.crash_after is not None and self._predictions > behaviour.crash_after:
            log("crash", after=behaviour.crash_after)
            os._exit(1)
        if behaviour.leak_kb:
            # Written to, else the kernel lends it only.
            self._leaked.append(b"x" * (behaviour.leak_kb << 10))
        await self._misbehave(behaviour)
        try:
            if self._happens(behaviour.errors):
                raise RuntimeError("the inference backend failed (switched on)")
            scores = [self._model.score(row) for row in rows]
        except Exception as error:  # a defect of the model is an answer here, and never ends the server
            log("predict failed", level="error", id=ident, error=f"{type(error).__name__}: {error}")
            return self._json(500, {"id": ident, "error": f"{type(error).__name__}: {error}"})
        cohort = self._telemetry.cohorts.present()
        result = self._result(ident, scores, behaviour, cohort)
        headers = {**self._identity.headers, "x-cohort": cohort} if cohort else self._identity.headers
        return json_response(200, result, headers=headers)

    async def _misbehave(self, behaviour: Behaviour) -> None:
        if self._happens(behaviour.reset):
            raise Dropped
        if self._happens(behaviour.hang):
            await asyncio.sleep(HANG)
            raise Dropped
        if self._predictions <= behaviour.cold_requests:
            self._telemetry.cold.add(self._identity.version)
            await asyncio.sleep(behaviour.cold_delay_ms / 1000)
        if behaviour.delay_ms and self._happens(behaviour.delay_share):
            await asyncio.sleep(behaviour.delay_ms / 1000)
        if behaviour.cpu_ms:
            until = time.thread_time() + behaviour.cpu_ms / 1000
            while time.thread_time() < until:
                pass  # blocks the loop on purpose: one process, one core, as a heavy model

    def _result(self, ident: str, scores: list[float], behaviour: Behaviour, cohort: str) -> dict[str, Any]:
        if self._happens(behaviour.wrong):
            scores = [1.0 - score for score in scores]
        who = self._identity
        for score in scores:
            self._telemetry.buckets.add(who.version, score_bin(score))
        labels = [int(score >= THRESHOLD) for score in scores]
        self._feedback.remember(ident, labels[0], cohort)
        if cohort:
            self._telemetry.predictions.add(who.version, cohort)
        scores = [round(score, 6) for score in scores]
        result: dict[str, Any] = {
            "id": ident,
            "label": labels[0],
            "score": scores[0],
            "model": who.model,
            "version": who.version,
            "pod": who.pod,
        }
        return result if len(scores) == 1 else {**result, "labels": labels, "scores": scores}

    def _happens(self, share: float) -> bool:
        return share > 0 and (share >= 1 or self._random.random() < share)

    def _unready(self) -> str | None:
        if self.public.draining:
            return "draining"
        if self.behaviour.not_ready:
            return "switched off"
        return "loading" if time.monotonic() < self._ready_at else None

    def _json(self, status: int, value: object) -> Response:
        return json_response(status, value, headers=self._identity.headers)

    def _refuse(self, refused: Refused) -> Response:
        self._telemetry.rejected.add(self._identity.version, refused.reason)
        return self._refuse_admin(refused)

    def _refuse_admin(self, refused: Refused) -> Response:
        return self._json(refused.status, {"error": str(refused), "reason": refused.reason})


def log(message: str, *, level: str = "info", **fields: object) -> None:
    """Write one JSON line to stdout."""
    line = {"time": round(time.time(), 3), "level": level, "message": message, **fields}
    print(json.dumps(line, separators=(",", ":")), flush=True)


def build(env: Mapping[str, str]) -> ModelServer:
    """Make the server that the environment describes. ValueError or OSError with a message for people."""
    name = env.get("VARIANT", "legacy")
    if name not in VARIANTS:
        raise ValueError(f"VARIANT={name!r} is unknown; known: {', '.join(VARIANTS)}")
    variant = VARIANTS[name]
    model = classifier.load(Path(env.get("MODEL_DIR", "/models")), variant.model)
    identity = Identity(
        model=env.get("MODEL_NAME", "tumour"),
        version=env.get("MODEL_VERSION", name),
        arm=env.get("ARM", "none"),
        pod=env.get("POD_NAME") or socket.gethostname(),
    )
    peers = [peer for peer in env.get("PEER_VERSIONS", "").split(",") if peer]
    cohorts = Cohorts(int(env.get("COHORT_SECONDS", "0")), keep=float(env.get("COHORT_KEEP", "1980")))
    telemetry = Telemetry(identity.version, peers=peers, started=time.time(), cohorts=cohorts)
    return ModelServer(model, identity, parse(env.get("BEHAVIOUR", ""), start=variant.behaviour), telemetry)


async def serve(env: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    server = build(env)
    # As PID 1 of a container a signal without a handler is ignored.
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    host = env.get("HOST", "0.0.0.0")
    port = await server.public.start(host, int(env.get("PORT", "8080")))
    admin_port = await server.admin.start(host, int(env.get("ADMIN_PORT", "8081")))
    log("serving", port=port, admin_port=admin_port, variant=env.get("VARIANT", "legacy"))
    await stop.wait()
    log("draining")
    await server.public.drain(linger=LINGER, timeout=DRAIN_TIMEOUT)
    await server.admin.drain(linger=0.0, timeout=1.0)
    log("stopped")


def main() -> int:
    """Run the server; exit code 2 for a bad environment."""
    try:
        asyncio.run(serve(os.environ))
    except (ValueError, OSError) as error:
        print(f"model server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""HTTP in front of the work: /avg, /healthz and /metrics."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from carbonstat import energy, work
from carbonstat.metrics import ServiceMetrics

MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One flavour's configuration; `precision_pct` overrides the measured label."""

    flavour: work.Flavour
    numbers: int = work.DEFAULT_COUNT
    seed: int = work.DEFAULT_SEED
    alpha: float = work.DEFAULT_ALPHA
    watts_per_core: float = 10.0
    precision_pct: float | None = None
    workers: int = 2


class _BodyTooLargeError(Exception):
    """The request body passed `MAX_BODY_BYTES`."""


class Averager:
    """The seeded numbers of one flavour and the bounded pool of threads that averages them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stride = settings.flavour.stride
        self._numbers = work.seeded_numbers(count=settings.numbers, seed=settings.seed, alpha=settings.alpha)
        self.precision = (
            work.measured_precision(self._numbers, stride=self._stride)
            if settings.precision_pct is None
            else settings.precision_pct / 100.0
        )
        self._pool = ThreadPoolExecutor(max_workers=settings.workers, thread_name_prefix="averager")

    async def seeded(self) -> work.Sample:
        """Average the seeded numbers."""
        return await self._run(partial(work.sample, self._numbers, stride=self._stride))

    async def given(self, body: bytes) -> work.Sample:
        """Average the list in `body`; raises InvalidNumbersError."""
        return await self._run(partial(work.sample_body, body, stride=self._stride))

    async def _run(self, job: Callable[[], work.Sample]) -> work.Sample:
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    def close(self) -> None:
        """Let running work finish and end the threads."""
        self._pool.shutdown()


class _Endpoint:
    """/avg: times, counts and words the answers."""

    def __init__(self, averager: Averager, metrics: ServiceMetrics) -> None:
        self._averager = averager
        self._metrics = metrics

    async def get(self) -> Response:
        began_s = time.monotonic()
        return self._answer(await self._averager.seeded(), began_s=began_s)

    async def post(self, request: Request) -> Response:
        began_s = time.monotonic()
        try:
            sample = await self._averager.given(await _bounded_body(request))
        except work.InvalidNumbersError as error:
            return self._refuse(400, str(error), began_s=began_s)
        except ClientDisconnect:
            return self._refuse(400, "the body is incomplete", began_s=began_s)
        except _BodyTooLargeError:
            return self._refuse(413, f"the body is larger than {MAX_BODY_BYTES} bytes", began_s=began_s)
        return self._answer(sample, began_s=began_s)

    def _answer(self, sample: work.Sample, *, began_s: float) -> Response:
        settings = self._averager.settings
        joules = energy.modelled_joules(cpu_s=sample.cpu_s, watts_per_core=settings.watts_per_core)
        elapsed_s = time.monotonic() - began_s
        self._metrics.spent(cpu_s=sample.cpu_s, joules=joules)
        self._metrics.answered(status=200, elapsed_s=elapsed_s)
        document = {
            "avg": round(sample.mean),
            "elapsed": elapsed_s * 1e3,
            "strategy": settings.flavour.strategy,
            "value": sample.mean,
            "flavour": settings.flavour.value,
            "precision": self._averager.precision,
            "elements": sample.elements,
            "elapsed_ms": elapsed_s * 1e3,
            "cpu_ms": sample.cpu_s * 1e3,
            "energy": {"joules": joules, "basis": energy.BASIS},
        }
        return JSONResponse(document, headers={energy.LOAD_HEADER: energy.load_report(joules)})

    # A refusal carries no energy report: a zero would make the flavour look cheaper than its answers are.
    def _refuse(self, status: int, message: str, *, began_s: float) -> Response:
        self._metrics.answered(status=status, elapsed_s=time.monotonic() - began_s)
        return JSONResponse({"error": message}, status_code=status)


def create_app(settings: Settings) -> FastAPI:
    """Build the service; takes about half a second for a million numbers.

    The averager stands at `app.state.averager`.
    """
    averager = Averager(settings)
    metrics = ServiceMetrics(flavour=settings.flavour.value)
    endpoint = _Endpoint(averager, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        averager.close()

    async def healthz() -> Response:
        return JSONResponse({"status": "ready"})

    async def exposition() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    app = FastAPI(title="carbonstat", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.averager = averager
    app.add_api_route("/avg", endpoint.get, methods=["GET"], response_model=None)
    app.add_api_route("/avg", endpoint.post, methods=["POST"], response_model=None)
    app.add_api_route("/healthz", healthz, methods=["GET"], response_model=None)
    app.add_api_route("/metrics", exposition, methods=["GET"], response_model=None)
    return app


async def _bounded_body(request: Request) -> bytes:
    """Read at most `MAX_BODY_BYTES`; what is announced as larger is refused unread."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise _BodyTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _BodyTooLargeError
    return bytes(body)

"""The application: routes around one runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from lerenet import __version__
from lerenet.access import KeyRing
from lerenet.api.documents import install_openapi
from lerenet.api.errors import install_error_answers, problem_codes
from lerenet.api.gate import needs_of
from lerenet.api.layers import add_layers
from lerenet.api.routes import docs, label_studio, liveness, operations, page, segment, support
from lerenet.api.telemetry import telemetry
from lerenet.runtime.admission import Tallies
from lerenet.runtime.engine import Engine, build_engine
from lerenet.runtime.runtime import Runtime
from lerenet.settings import Settings

DESCRIPTION = """
Register a defect class from 1 to 10 marked images; get pixel masks of it on the next frames, without a training run.

Every refusal is a problem by RFC 9457 with a stable `code`, the field it is about, the limit and the remedy. Every
answer carries `X-Request-ID` (yours, if you send one), `Server-Timing`, and `X-Weights-Digest`, the sha256 of the
weights in use.

Answers about classes carry `X-Registry-Revision`, a number that grows with every change. Sent back as `X-Min-Revision`,
it makes any replica behind a load balancer answer from what you have written or seen, or with 503 `registry_behind`.
"""

TAGS = [
    {"name": "support", "description": "Support classes: what to look for, by example"},
    {"name": "segment", "description": "Images in, masks out"},
    {"name": "label studio", "description": "A machine learning backend; only where a Label Studio is configured"},
    {"name": "operations", "description": "Probes, metrics, limits"},
]


def create_app(
    settings: Settings,
    *,
    build: Callable[[Settings], Engine] = build_engine,
    on_loss: Callable[[], None] = lambda: None,
    tracer_provider: TracerProvider | None = None,
    tallies: Tallies | None = None,
) -> FastAPI:
    """The ASGI application. Its lifespan starts to load the weights, and drains at the end.

    Args:
        settings: Read once.
        build: Makes the engine.
        on_loss: Called when only a restart helps; whoever runs the process should end it.
        tracer_provider: Takes the spans of requests and their stages; None: whatever the process is set up with.
        tallies: Where what is let in is counted; None: in this process.

    Raises:
        ConfigurationError: The key file is missing or damaged.
    """
    keys = None if settings.api_keys_file is None else KeyRing(settings.api_keys_file)
    runtime = Runtime(settings, build=build, on_loss=on_loss, tallies=tallies)
    runtime.metrics.expect_problems(problem_codes())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            yield

    app = FastAPI(
        title="LERENet",
        summary="Few-shot segmentation of metal surface defects",
        description=DESCRIPTION,
        version=__version__,
        openapi_tags=TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None if settings.docs == "off" else "/openapi.json",
        docs_url=None,
        redoc_url=None,
        telemetry=telemetry(settings.root_path, tracer_provider),
    )
    app.state.runtime, app.state.keys = runtime, keys
    add_layers(app, runtime, keys, trace.get_tracer("lerenet", __version__, tracer_provider))
    install_error_answers(app)
    for router in _routers(settings):
        app.include_router(router)
    install_openapi(app, None if keys is None else needs_of(settings))
    return app


def _routers(settings: Settings) -> Iterator[APIRouter]:
    yield from (support.router, segment.router, liveness.router, operations.router, page.router)
    if settings.metrics != "off":
        yield operations.metrics_router
    if settings.docs != "off":
        yield docs.router
    if settings.label_studio_url is not None:
        yield label_studio.router

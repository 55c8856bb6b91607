"""The application: routes around one runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from lerenet import __version__
from lerenet.api.documents import install_openapi
from lerenet.api.doorkeeper import Doorkeeper
from lerenet.api.envelope import Envelope
from lerenet.api.errors import install_error_answers, problem_codes
from lerenet.api.routes import label_studio, operations, page, segment, support
from lerenet.api.telemetry import telemetry
from lerenet.runtime import Engine, Runtime, build_engine
from lerenet.settings import Settings

DESCRIPTION = """
Register a defect class from 1 to 10 marked images; get pixel masks of it on the next frames, without a training run.

Every refusal is a problem by RFC 9457 with a stable `code`, the field it is about, the limit and the remedy. Every
answer carries `X-Request-ID` (yours, if you send one), `Server-Timing`, and `X-Weights-Digest`, the sha256 of the
weights in use.
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
) -> FastAPI:
    """The ASGI application. Its lifespan starts to load the weights, and drains at the end.

    Args:
        settings: Read once.
        build: Makes the engine.
        on_loss: Called when only a restart helps; whoever runs the process should end it.
        tracer_provider: Takes the spans of requests and their stages; None: whatever the process is set up with.
    """
    runtime = Runtime(settings, build=build, on_loss=on_loss)
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
        redoc_url=None,
        telemetry=telemetry(settings.root_path, tracer_provider),
    )
    app.state.runtime = runtime
    app.add_middleware(Doorkeeper, runtime=runtime, route=segment.ROUTE)
    app.add_middleware(Envelope, runtime=runtime, tracer=trace.get_tracer("lerenet", __version__, tracer_provider))
    install_error_answers(app)
    for routes in (support, segment, operations, page):
        app.include_router(routes.router)
    if settings.label_studio_url is not None:
        app.include_router(label_studio.router)
    install_openapi(app)
    return app

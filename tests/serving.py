"""The application as tests run it: in process, over ASGI, with its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from opentelemetry.trace import TracerProvider

from lerenet.api import create_app
from lerenet.runtime.engine import Engine, build_engine
from lerenet.runtime.runtime import Runtime
from lerenet.settings import Settings

READY_WITHIN_S = 30.0


class AppClient(httpx.AsyncClient):
    """A client of one running application.

    Attributes:
        runtime: What works behind it.
        losses: One entry per time the application asked to be restarted.
    """

    runtime: Runtime
    losses: list[None]


@asynccontextmanager
async def running_client(
    settings: Settings,
    *,
    build: Callable[[Settings], Engine] = build_engine,
    until_ready: bool = True,
    tracer_provider: TracerProvider | None = None,
) -> AsyncIterator[AppClient]:
    """Starts the application, and stops it at the end."""
    losses: list[None] = []
    app = create_app(settings, build=build, on_loss=lambda: losses.append(None), tracer_provider=tracer_provider)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with AppClient(transport=transport, base_url="http://service", timeout=60) as client:
            client.runtime, client.losses = app.state.runtime, losses
            if until_ready:
                await wait_until_ready(client)
            yield client


async def wait_until_ready(client: httpx.AsyncClient) -> None:
    """Asks `/readyz` until it is green."""
    async with asyncio.timeout(READY_WITHIN_S):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)

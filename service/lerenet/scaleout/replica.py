"""The service as Ray Serve runs it: the same application, one replica for each device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI
from ray import serve
from starlette.datastructures import MutableHeaders

from lerenet.api.app import create_app
from lerenet.api.process import prepare_process
from lerenet.runtime.engine import Engine, build_engine
from lerenet.runtime.runtime import Runtime
from lerenet.scaleout.metrics import MetricsOfAll
from lerenet.scaleout.plan import REPLICA_HEADER, WITHOUT_EFFECT, without_effect
from lerenet.settings import PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

GATHER_WITHIN_S = 2.0
"""Wait for the metrics of other replicas, in seconds: Prometheus gives up after ten."""

REFRESH_WITHIN_S = 1.0
"""Wait of each replica for what it asks of its registry; then it tells what it knew."""

_log = structlog.get_logger(__name__)


class Replica:
    """One service with a device of its own, in a process of Ray's; its settings are the environment's.

    Args:
        build: Makes the engine.
    """

    def __init__(self, build: Callable[[Settings], Engine] = build_engine) -> None:
        self._settings = load_settings()
        self._build = build
        prepare_process(self._settings)
        for field in without_effect(self._settings):
            variable, reason = f"{PREFIX}{field.upper()}", WITHOUT_EFFECT[field]
            _log.warning("setting without effect on Ray Serve, ignored", variable=variable, reason=reason)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, which Serve starts before it sends anybody here."""
        app = create_app(self._settings, build=self._build)
        self._runtime: Runtime = app.state.runtime
        app.router.lifespan_context = _once_loaded(app.router.lifespan_context, self._runtime)
        if self._settings.metrics != "off":
            app.add_middleware(MetricsOfAll, gather=self._gathered, root_path=self._settings.root_path)
        app.add_middleware(Signed, name=serve.get_replica_context().replica_id.unique_id)
        return app

    async def exposition(self) -> tuple[str, str]:
        """Id and metrics of this replica."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_WITHIN_S):
                await self._runtime.refresh_metrics()
        return serve.get_replica_context().replica_id.unique_id, self._runtime.metrics.exposition().decode()

    async def _gathered(self) -> dict[str, str]:
        """Of every replica; of this one alone where another does not answer in time."""
        context = serve.get_replica_context()
        handle = serve.get_deployment_handle(context.deployment, context.app_name)
        told = handle.broadcast("exposition")
        try:
            answers = await told.results_async(timeout_s=GATHER_WITHIN_S, return_exceptions=True)
        except TimeoutError:
            answers = []
            _log.warning("metrics of other replicas are missing: one does not answer", within_s=GATHER_WITHIN_S)
        return dict([await self.exposition(), *(each for each in answers if not isinstance(each, BaseException))])

    def check_health(self) -> None:
        """Asked by Serve, first when the replica has started; one that fails takes no part and is replaced.

        Raises:
            LERENetError: Why only another replica helps: the device is lost or hangs, or loading failed.
        """
        self._runtime.require_ready()


class Signed:
    """ASGI layer around everything else: an answer says which replica made it.

    Args:
        app: The replica's application.
        name: Of the replica.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REPLICA_HEADER] = self._name
            await send(message)

        await self._app(scope, receive, signed)


def _once_loaded(lifespan: Callable[[Any], Any], runtime: Runtime) -> Callable[[Any], Any]:
    """A lifespan that begins when the weights are on the device, or will never be: Serve has no state in between."""

    @asynccontextmanager
    async def waiting(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            await runtime.wait_until_settled()
            yield state

    return waiting

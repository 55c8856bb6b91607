"""The service as Ray Serve runs it: the same application, one replica for each device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from ray import serve

from lerenet.api.app import create_app
from lerenet.api.server import prepare_process
from lerenet.runtime import Engine, Runtime, build_engine
from lerenet.scaleout.metrics import MetricsOfAll
from lerenet.settings import Settings, load_settings

GATHER_WITHIN_S = 2.0
"""Wait for the metrics of other replicas, in seconds: Prometheus gives up after ten."""


class Replica:
    """One service with a device of its own, in a process of Ray's; its settings are the environment's.

    Args:
        build: Makes the engine.
    """

    def __init__(self, build: Callable[[Settings], Engine] = build_engine) -> None:
        self._settings = load_settings()
        self._build = build
        prepare_process(self._settings)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, which Serve starts before it sends anybody here."""
        app = create_app(self._settings, build=self._build)
        self._runtime: Runtime = app.state.runtime
        app.router.lifespan_context = _once_loaded(app.router.lifespan_context, self._runtime)
        app.add_middleware(MetricsOfAll, gather=self._gathered)
        return app

    async def exposition(self) -> tuple[str, str]:
        """Id and metrics of this replica."""
        await self._runtime.refresh_metrics()
        return serve.get_replica_context().replica_id.unique_id, self._runtime.metrics.exposition().decode()

    async def _gathered(self) -> dict[str, str]:
        """Of every replica that answers in time."""
        context = serve.get_replica_context()
        handle = serve.get_deployment_handle(context.deployment, context.app_name)
        told = handle.broadcast("exposition")
        answers = await told.results_async(timeout_s=GATHER_WITHIN_S, return_exceptions=True)
        return dict([await self.exposition(), *(each for each in answers if not isinstance(each, BaseException))])

    def check_health(self) -> None:
        """Asked by Serve, first when the replica has started; one that fails takes no part and is replaced.

        Raises:
            LERENetError: Why only another replica helps: the device is lost or hangs, or loading failed.
        """
        self._runtime.require_ready()


def _once_loaded(lifespan: Callable[[Any], Any], runtime: Runtime) -> Callable[[Any], Any]:
    """A lifespan that begins when the weights are on the device, or will never be: Serve has no state in between."""

    @asynccontextmanager
    async def waiting(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            await runtime.wait_until_settled()
            yield state

    return waiting

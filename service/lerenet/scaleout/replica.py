"""The service as Ray Serve runs it: the same application, one replica for each device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from lerenet.api.app import create_app
from lerenet.api.server import prepare_process
from lerenet.runtime import Engine, Runtime, build_engine
from lerenet.settings import Settings, load_settings


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
        return app

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

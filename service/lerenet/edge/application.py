"""The application of an edge: frames and the probe of life by our own routes, everything else by the core."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry import trace
from starlette.types import ASGIApp, Receive, Scope, Send

from lerenet import __version__
from lerenet.access import KeyRing
from lerenet.api.errors import install_error_answers
from lerenet.api.layers import add_layers
from lerenet.api.routes import liveness, segment
from lerenet.api.telemetry import telemetry
from lerenet.runtime.front import RuntimeFront

OWN = frozenset((method, route.path) for route in (segment.ROUTE, liveness.ROUTE) for method in route.methods or ())
"""Methods and paths that an edge answers itself."""


def edge_app(runtime: RuntimeFront, keys: KeyRing | None) -> FastAPI:
    """Our routes, in the layers that stand around all routes of the core.

    Args:
        runtime: Whose device is in the core.
        keys: In force; None where none are asked for.
    """
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=telemetry(runtime.settings.root_path, None),
    )
    app.state.runtime, app.state.keys = runtime, keys
    add_layers(app, runtime, keys, trace.get_tracer("lerenet", __version__))
    install_error_answers(app)
    app.include_router(segment.router)
    app.include_router(liveness.router)
    return app


class Fork:
    """ASGI application that tells what an edge answers itself from what the core does.

    Args:
        own: Answers the former, and has the lifespan.
        rest: Answers the latter.
        root_path: Prefix that a proxy may leave on paths.
    """

    def __init__(self, own: ASGIApp, rest: ASGIApp, root_path: str) -> None:
        self._own = own
        self._rest = rest
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        is_own = scope["type"] != "http" or (scope["method"], scope["path"].removeprefix(self._root_path)) in OWN
        await (self._own if is_own else self._rest)(scope, receive, send)

"""Frames are turned away at the door when the device will not come to them in time."""

from __future__ import annotations

import time

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from lerenet.runtime.front import RuntimeFront


class Doorkeeper:
    """ASGI layer that refuses before anything is routed, read or decoded: a crowd must not slow down who is served.

    Args:
        app: The rest.
        runtime: Knows the line in front of the device.
        route: What is kept.
    """

    def __init__(self, app: ASGIApp, runtime: RuntimeFront, route: APIRoute) -> None:
        self._app = app
        self._runtime = runtime
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request in.

        Raises:
            QueueFull: There is no room, or no time.
            Loading, Draining, DeviceFailed: Nothing is admitted now.
        """
        if scope["type"] == "http" and self._is_kept(scope):
            scope["route"] = self._route  # for whoever counts refusals by route
            self._runtime.check_room(time.monotonic() + self._runtime.settings.deadline_s)
        await self._app(scope, receive, send)

    def _is_kept(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return path == self._route.path and scope["method"] in (self._route.methods or ())

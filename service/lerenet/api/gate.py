"""The one place where keys are asked for: before a body is read, and of every route that is not named as open."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from lerenet.access import SCOPES, KeyRecord, KeyRing, Scope, Standing
from lerenet.access.rates import WINDOW_S
from lerenet.api.errors import problem_of
from lerenet.errors import Forbidden, LERENetError, RateExceeded, Unauthorized
from lerenet.observability.caller import Caller, called_by
from lerenet.settings import Settings

Scopes = frozenset[Scope]

OPEN: Scopes = frozenset()
"""No key is asked for."""

ANY: Scopes = frozenset(SCOPES)
SEGMENT: Scopes = frozenset({"segment"})
REGISTER: Scopes = frozenset({"register"})
ADMIN: Scopes = frozenset({"admin"})

NEEDS: Mapping[str, Scopes] = {
    "GET /": OPEN,
    "GET /static/{name}": OPEN,
    "GET /livez": OPEN,
    "GET /readyz": OPEN,
    "GET /health": OPEN,
    "GET /version": ANY,
    "GET /limits": ANY,
    "GET /metrics": ANY,
    "GET /docs": ANY,
    "GET /openapi.json": ANY,
    "POST /segment": SEGMENT,
    "POST /predict": SEGMENT,
    "POST /setup": SEGMENT,
    "GET /support": ANY,
    "GET /support/{name}": ANY,
    "GET /support/{name}/shots/{index}/image": ANY,
    "GET /support/{name}/shots/{index}/mask": ANY,
    "POST /support": REGISTER,
    "PUT /support/{name}": REGISTER,
    "PATCH /support/{name}": REGISTER,
    "DELETE /support/{name}": REGISTER,
    "POST /support/{name}/shots": REGISTER,
    "DELETE /support/{name}/shots/{index}": REGISTER,
}
"""Scopes by route, any one of which will do; `admin` always does. A route that is not here needs `admin`."""

HOW = "send one as `X-API-Key`, or as `Authorization: Bearer`"


def needs_of(settings: Settings) -> Mapping[str, Scopes]:
    """`NEEDS` under what the operator decided of documentation and metrics."""
    opened = {
        "GET /docs": settings.docs == "open",
        "GET /openapi.json": settings.docs == "open",
        "GET /metrics": settings.metrics == "open",
    }
    return {**NEEDS, **{route: OPEN for route, is_open in opened.items() if is_open}}


class Gate:
    """ASGI layer that lets a request pass with a key that may do what it asks, and no more often than it may.

    Args:
        app: The rest.
        keys: Those in force.
        needs: Scopes by route, as `NEEDS`.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, needs: Mapping[str, Scopes]) -> None:
        self._app = app
        self._keys = keys
        self._needs = needs
        self._routes: list[tuple[BaseRoute, str | None]] = []

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Lets a request in, or answers 401, 403 or 429."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # there are none: a later one must not be open
            return
        self._keys.refresh()
        needed = self._needed(scope)
        if needed == OPEN:
            await self._app(scope, receive, send)
            return
        try:
            key = self._keys.find(_sent_key(Headers(scope=scope)))
        except Unauthorized as error:
            await _refuse(error, scope, receive, send, challenge=True)
            return
        await self._with_key(key, needed, scope, receive, send)

    async def _with_key(self, key: KeyRecord, needed: Scopes, scope: Connection, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["key"] = key.prefix  # for the log
        standing = await self._keys.count(key)
        send = _marked(send, standing)
        if standing is not None and standing.is_exceeded:
            detail = (
                f"the key {key.prefix} may ask {standing.quota} times a minute: ask less often, or for a higher rate"
            )
            await _refuse(RateExceeded(detail, retry_after_s=standing.wait_s), scope, receive, send)
        elif not key.may(needed):
            wanted = " or ".join(f"`{each}`" for each in sorted(needed))
            detail = f"the key {key.prefix} has no scope {wanted}: use one that has, or ask the operator for it"
            await _refuse(Forbidden(detail), scope, receive, send)
        else:
            with called_by(Caller(key.prefix, key.max_classes)):
                await self._app(scope, receive, send)

    def _needed(self, scope: Connection) -> Scopes:
        """Scopes for the route that will answer; where none will, any key may hear of that."""
        routes = scope["app"].routes
        for _ in range(2):
            for route, path in self._routes:
                if route.matches(scope)[0] is Match.FULL:
                    scope["route"] = route  # for whoever counts refusals by route
                    method = "GET" if scope["method"] == "HEAD" else scope["method"]
                    return self._needs.get(f"{method} {path}", ADMIN)
            # routes are added behind those that are known, so only who finds none must look again
            self._routes = [(each.original_route, each.path) for each in iter_route_contexts(routes)]
        is_answered = any(route.matches(scope)[0] is Match.FULL for route in routes)  # by what is no single route
        return ADMIN if is_answered else ANY


def _sent_key(headers: Headers) -> str:
    """The key of a request.

    Raises:
        Unauthorized: There is none.
    """
    if "x-api-key" in headers:  # an empty one, too: beside other credentials nobody could tell which is meant
        return headers["x-api-key"].strip()
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    if scheme.lower() == "basic":  # all that Label Studio can send
        return _password(credentials)
    raise Unauthorized(f"this needs an API key: {HOW}")


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as err:
        raise Unauthorized(f"`Authorization: Basic` that cannot be read: {HOW}") from err


async def _refuse(
    error: LERENetError, scope: Connection, receive: Receive, send: Send, *, challenge: bool = False
) -> None:
    headers = {"WWW-Authenticate": 'Bearer realm="LERENet"'} if challenge else {}
    await problem_of(error, headers=headers)(scope, receive, send)


def _marked(send: Send, standing: Standing | None) -> Send:
    """`send` that keeps answers out of shared caches, and says where the key stands."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", "private, no-cache")
            if standing is not None:
                headers["RateLimit-Policy"] = f'"key";q={standing.quota};w={WINDOW_S}'
                headers["RateLimit"] = f'"key";r={standing.remaining};t={standing.full_in_s}'
        await send(message)

    return marked

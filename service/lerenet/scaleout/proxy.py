"""In front of Serve's proxies: whatever they answer by themselves leaves as a problem of ours."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware

from lerenet.api.errors import CODE_HEADER, problem_of
from lerenet.errors import DeadlineExceeded, LERENetError, Loading, QueueFull, ServiceError, Unavailable
from lerenet.observability import accepted_request_id
from lerenet.observability.request_id import request_context
from lerenet.scaleout.plan import REPLICA_HEADER, RETRY_AFTER_S

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OWN_PATHS = "/-/"
"""Serve's probes of the proxy."""


def layers() -> list[Middleware]:
    """What `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names."""
    return [Middleware(ProxyAnswers)]


class ProxyAnswers:
    """ASGI layer around a proxy: names requests, and puts a problem in the place of an answer that no replica made.

    Args:
        app: The proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["path"].startswith(_OWN_PATHS):
            await self._app(scope, receive, send)
            return
        request_id = accepted_request_id(Headers(scope=scope).get("x-request-id"))
        MutableHeaders(scope=scope)["X-Request-ID"] = request_id  # replica and proxy then have one id
        answer = _Answer(send, request_id)
        await self._app(scope, receive, answer.send)
        fault = answer.fault(scope["method"])
        if fault is not None:
            with request_context(request_id):
                response = problem_of(fault)
            del response.headers[CODE_HEADER]
            response.headers["X-Request-ID"] = request_id
            await response(scope, receive, send)


class _Answer:
    """What a proxy sends, held back where a replica has had no part in it."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._is_of_a_replica = False
        self._own_status: int | None = None
        self._is_told_to_wait = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            self._is_of_a_replica = REPLICA_HEADER in headers
            if not self._is_of_a_replica:
                self._own_status = message["status"]
                self._is_told_to_wait = "retry-after" in headers
            headers["X-Request-ID"] = self._request_id  # once: the proxy adds its own to the replica's
        if self._is_of_a_replica:
            await self._send(message)

    def fault(self, method: str) -> LERENetError | None:
        """What to say instead of the proxy's own words; None where a replica has answered."""
        if self._is_of_a_replica:
            return None
        match self._own_status:
            case HTTPStatus.REQUEST_TIMEOUT:
                return DeadlineExceeded("not answered in time: send fewer or smaller images, or fewer classes")
            case HTTPStatus.NOT_FOUND:
                return Loading("no replica of the service is there yet: ask again shortly", retry_after_s=RETRY_AFTER_S)
            case HTTPStatus.SERVICE_UNAVAILABLE if self._is_told_to_wait:
                detail = "all replicas are busy and enough requests wait for them: ask again later"
                return QueueFull(detail, retry_after_s=RETRY_AFTER_S)
            case HTTPStatus.SERVICE_UNAVAILABLE:
                return Unavailable("no replica of the service can be reached: ask again", retry_after_s=RETRY_AFTER_S)
        return _lost(method)


def _lost(method: str) -> LERENetError:
    """A replica that ended while it had the request: every call but a deletion may be sent again."""
    if method == "DELETE":
        return ServiceError("the replica ended while it worked on this: look what is there before you ask again")
    detail = "the replica ended while it worked on this: ask again"
    return Unavailable(detail, retry_after_s=RETRY_AFTER_S)

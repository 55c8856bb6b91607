"""The outermost layer: every answer leaves through it, with its id, its timings, its log line and its count."""

from __future__ import annotations

import asyncio

import structlog
from opentelemetry.trace import Tracer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lerenet.api.errors import CODE_HEADER, INTERNAL_DETAIL, INTERNAL_ERROR, problem, problem_of
from lerenet.api.inspection import as_logged
from lerenet.errors import BodyTooLarge, LERENetError
from lerenet.inference import refusals
from lerenet.observability import Timings, accepted_request_id
from lerenet.observability.request_id import request_context
from lerenet.runtime.admission import Share
from lerenet.runtime.front import RuntimeFront
from lerenet.support import seen_revision, watched

REGISTRY_REVISION = "X-Registry-Revision"
"""Which revision of the registry an answer shows, on every answer for which the registry was asked."""

CLIENT_LEFT = 499
"""Status in logs and metrics for a caller who left; never sent."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
"""On every answer that has no stricter or laxer ones of its own: data is shown by nobody and framed by nobody."""

QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics", "/static/{name}"})

_log = structlog.get_logger(__name__)


class Envelope:
    """ASGI layer around the whole application.

    Bounds bodies, declared or chunked; names the request; adds the proxy's prefix; answers 500 where nobody else could.

    Args:
        app: The rest.
        runtime: Whose settings, metrics and weights digest are used.
        tracer: Makes spans of the stages of traced requests.
    """

    def __init__(self, app: ASGIApp, runtime: RuntimeFront, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["root_path"] = scope.get("root_path") or self._runtime.settings.root_path
        request_id = accepted_request_id(Headers(scope=scope).get("x-request-id"))
        timings = Timings(self._tracer)
        with request_context(request_id), timings.current(), watched(), self._runtime.bodies.share() as share:
            exchange = _Exchange(scope, receive, send, timings, request_id, self._runtime, share)
            try:
                await self._answer(exchange)
            finally:
                self._record(exchange, timings)

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            exchange.refuse_declared()
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except LERENetError as error:
            await exchange.send_problem(error)
        except ClientDisconnect:
            exchange.status = CLIENT_LEFT
        except asyncio.CancelledError:  # the server gives up on what is not done when its time to drain is over
            if exchange.is_started:
                raise
            await exchange.send_problem(refusals.stopped())
        except Exception:
            _log.exception("unexpected error")
            if exchange.is_started:
                raise
            await exchange.send_internal_error()

    def _record(self, exchange: _Exchange, timings: Timings) -> None:
        route = getattr(exchange.scope.get("route"), "path", "unmatched")
        status, seconds = exchange.status, timings.total_s
        method = exchange.scope["method"]
        metrics = self._runtime.metrics
        metrics.observe_request(method=method, route=route, status=status, seconds=seconds, stages=timings.stages)
        if exchange.code is not None:
            metrics.count_problem(exchange.code)
        state = exchange.scope.get("state", {})
        metadata = state.get("metadata")
        log = _log.debug if route in QUIET_ROUTES else _log.info
        log(
            "request",
            method=method,
            path=exchange.scope["path"],
            status=status,
            ms=round(1000 * seconds, 1),
            received_bytes=exchange.received_bytes,
            **({} if exchange.code is None else {"code": exchange.code}),
            **({} if "key" not in state else {"key": state["key"]}),
            **({} if not metadata else {"metadata": as_logged(metadata)}),
        )


class _Exchange:
    """One request and its answer, on their way through the envelope."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        timings: Timings,
        request_id: str,
        runtime: RuntimeFront,
        share: Share,
    ) -> None:
        self.scope = scope
        self._max_body_bytes = runtime.settings.max_body_bytes
        self.is_started = False
        self.status = 500
        self.code: str | None = None
        self.received_bytes = 0
        self._share = share
        self._receive = receive
        self._send = send
        self._timings = timings
        self._request_id = request_id
        self._runtime = runtime

    def refuse_declared(self) -> None:
        declared = Headers(scope=self.scope).get("content-length", "0")
        # more digits than any limit are refused without being read
        is_number = declared.isdecimal() and len(declared) < 20
        self._refuse_over_limit(int(declared) if is_number else 0)

    async def receive(self) -> Message:
        message = await self._receive()
        n_bytes = len(message.get("body", b""))
        self.received_bytes += n_bytes
        self._refuse_over_limit(self.received_bytes)
        self._share.take(n_bytes)
        return message

    def _refuse_over_limit(self, n_bytes: int) -> None:
        if n_bytes > self._max_body_bytes:
            detail = f"the body has more than {self._max_body_bytes} bytes: send fewer images, or compress them"
            raise BodyTooLarge(detail)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            self.code = headers.get(CODE_HEADER)
            del headers[CODE_HEADER]
            headers["X-Request-ID"] = self._request_id
            headers["Server-Timing"] = self._timings.server_timing()
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            revision = seen_revision()
            if revision is not None:
                headers[REGISTRY_REVISION] = str(revision)
            if self._runtime.weights_digest is not None:
                headers["X-Weights-Digest"] = self._runtime.weights_digest
        await self._send(message)

    async def send_problem(self, error: LERENetError) -> None:
        await problem_of(error)(self.scope, self.receive, self.send)

    async def send_internal_error(self) -> None:
        await problem(500, INTERNAL_ERROR, INTERNAL_DETAIL)(self.scope, self.receive, self.send)

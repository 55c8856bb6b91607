"""What an edge does not answer itself: handed on to the core's application as it is, and its answer handed back."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from lerenet.api.errors import CODE_HEADER, problem_of
from lerenet.edge.core_link import CoreLink
from lerenet.edge.exchange import Outflow
from lerenet.edge.messages import Ended, Head, Left, Opened, Piece, Taken, Wanted
from lerenet.errors import LERENetError
from lerenet.inference import refusals
from lerenet.observability import accepted_request_id
from lerenet.observability.request_id import request_context

HANDED_ON = (
    *("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path"),
    *("headers", "client", "server"),
)
"""Of an ASGI scope; the rest are objects of this process. `client` and `scheme` are what a trusted proxy said."""


class Relay:
    """ASGI application.

    Args:
        core: Answers.
    """

    def __init__(self, core: CoreLink) -> None:
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands one request on, piece by piece, and its answer back; an answer may come before the request's end."""
        exchange = _Exchange(self._core, send)
        try:
            number = exchange.begin(scope)
        except LERENetError as error:
            await _refuse(error, scope, receive, send)
            return
        pump = asyncio.create_task(exchange.pump(receive))
        try:
            await exchange.answer()
        except asyncio.CancelledError:  # the server gives up on what is not done when its time to drain is over
            if exchange.is_started:
                raise
            await _refuse(refusals.stopped(), scope, receive, send)
        except LERENetError as error:
            if exchange.is_started:
                raise
            await _refuse(error, scope, receive, send)
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            self._core.forget(number, cancel=not exchange.is_ended)


class _Exchange:
    """One request that the core answers."""

    def __init__(self, core: CoreLink, send: Send) -> None:
        self._core = core
        self._send = send
        self._is_wanted = asyncio.Event()
        self._heads: asyncio.Queue[Head | Piece | Ended | LERENetError] = asyncio.Queue()
        self.is_started = False
        self.is_ended = False

    def begin(self, scope: Scope) -> int:
        self._number = self._core.listen(self)
        self._body = Outflow(self._core.link, self._number)
        plain = {name: scope[name] for name in HANDED_ON if name in scope}
        self._core.link.send(Opened(self._number, plain))
        return self._number

    async def pump(self, receive: Receive) -> None:
        """Hands the body on once it is asked for, then waits for the caller to leave.

        Whoever is refused before may wait for a word before he sends: to read is to tell him to.
        """
        await self._is_wanted.wait()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._core.link.send(Left(self._number))
                return
            await self._body.send(message.get("body", b""), is_last=not message.get("more_body", False))

    async def answer(self) -> None:
        """Hands the answer back until the core has ended it."""
        while True:
            message = await self._heads.get()
            if isinstance(message, LERENetError):
                raise message
            if isinstance(message, Ended):
                if message.has_raised:
                    raise RuntimeError("the core failed to answer; its log has the cause")
                return
            await self._pass_back(message)

    async def _pass_back(self, message: Head | Piece) -> None:
        if isinstance(message, Head):
            self.is_started = True
            await self._send(
                {"type": "http.response.start", "status": message.status, "headers": list(message.headers)}
            )
            return
        body = bytes(message.body)
        await self._send({"type": "http.response.body", "body": body, "more_body": not message.is_last})
        self._core.link.send(Taken(self._number, len(body)))

    def hear(self, message: Any) -> None:
        if isinstance(message, Taken):
            self._body.note_taken(message.n_bytes)
            return
        if isinstance(message, Wanted):
            self._is_wanted.set()
            return
        self.is_ended = self.is_ended or isinstance(message, Ended)
        self._heads.put_nowait(message)

    def lose(self, error: LERENetError) -> None:
        self._body.cut()
        self._heads.put_nowait(error)


async def _refuse(error: LERENetError, scope: Scope, receive: Receive, send: Send) -> None:
    request_id = accepted_request_id(Headers(scope=scope).get("x-request-id"))
    with request_context(request_id):
        response = problem_of(error)
    del response.headers[CODE_HEADER]
    response.headers["X-Request-ID"] = request_id
    await response(scope, receive, send)

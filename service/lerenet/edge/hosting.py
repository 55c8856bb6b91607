"""The core's side of a request that an edge hands on: the application answers it as if the caller were here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message

from lerenet.edge.exchange import Inflow, Outflow
from lerenet.edge.messages import Ended, Head, Left, Opened, Piece, Taken, Wanted
from lerenet.edge.wire import Link

_log = structlog.get_logger(__name__)


class HostedRequest:
    """One request.

    Args:
        opened: As the edge handed it on.
        app: Answers it.
        state: Of the application's lifespan.
        link: To the edge.
    """

    def __init__(self, opened: Opened, app: ASGIApp, state: Mapping[str, Any], link: Link) -> None:
        self._app = app
        self._scope = {**opened.scope, "state": dict(state)}
        self._number = opened.number
        self._link = link
        self._request = Inflow(link, opened.number)
        self._answer = Outflow(link, opened.number)
        self._is_wanted = False

    async def run(self) -> None:
        """Answers it."""
        has_raised = True
        try:
            await self._app(self._scope, self._receive, self._send)
            has_raised = False
        except Exception:
            _log.exception("exception in the application")
        finally:
            self._link.send(Ended(self._number, has_raised))

    def hear(self, message: Piece | Taken | Left) -> None:
        """Takes a message of the edge."""
        if isinstance(message, Piece):
            self._request.take(message)
        elif isinstance(message, Taken):
            self._answer.note_taken(message.n_bytes)
        else:
            self._request.cut()
            self._answer.cut()

    async def _receive(self) -> Message:
        if not self._is_wanted:
            self._is_wanted = True
            self._link.send(Wanted(self._number))
        piece = await self._request.next()
        if piece is None:
            return {"type": "http.disconnect"}
        body, is_last = piece
        return {"type": "http.request", "body": body, "more_body": not is_last}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._link.send(Head(self._number, message["status"], list(message.get("headers", ()))))
            return
        is_last = not message.get("more_body", False)
        await self._answer.send(message.get("body", b""), is_last=is_last)
        if is_last:
            self._request.cut()  # whoever asks for more of the request after its answer hears that the caller is gone

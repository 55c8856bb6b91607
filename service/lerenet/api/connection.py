"""A connection whose requests have heads of bounded length: uvicorn's parser in C would collect any amount."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10
"""Of method, address and headers; also of what may stand between two pieces of a body, and after its last."""

KEEP_ALIVE_S = 75
"""Longer than a proxy keeps an idle connection, so that it is never the proxy who finds it closed."""


class BoundedHead(HttpToolsProtocol):
    """uvicorn's connection, which gives up on a request when nothing of it is complete within `MAX_HEAD_BYTES`."""

    _since_progress = 0

    def data_received(self, data: bytes) -> None:
        """Parses what came in; closes the connection after a 400 when it is all head and no end."""
        self._since_progress += len(data)
        super().data_received(data)
        if self._since_progress > MAX_HEAD_BYTES and self.transport is not None and not self.transport.is_closing():
            self.send_400_response(f"Headers of more than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begins to count."""
        self._since_progress = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begins to count anew: pieces of the body may follow."""
        self._since_progress = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Begins to count anew; the envelope counts the body."""
        self._since_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begins to count anew: the next request may follow."""
        self._since_progress = 0
        super().on_message_complete()

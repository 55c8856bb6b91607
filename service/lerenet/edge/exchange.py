"""Bodies of requests and answers on the link: pieces, and no more of them under way than the other end has room for."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque

from lerenet.edge.messages import Piece, Taken
from lerenet.edge.wire import Link

PIECE_BYTES = 256 << 10
"""At most in one message, so that others come between."""

WINDOW_BYTES = 1 << 20
"""Of one body, sent and not yet taken."""


class _Flow:
    """One end of a body.

    Args:
        link: To the other end.
        number: Of the exchange.
    """

    def __init__(self, link: Link, number: int) -> None:
        self._link = link
        self._number = number
        self._changed = asyncio.Event()
        self._is_cut = False

    def cut(self) -> None:
        """Nothing more of it counts."""
        self._is_cut = True
        self._changed.set()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Outflow(_Flow):
    """A body on its way to the other end."""

    def __init__(self, link: Link, number: int) -> None:
        super().__init__(link, number)
        self._n_under_way = 0

    async def send(self, body: bytes, *, is_last: bool) -> None:
        """Sends some of it, when there is room; nothing once it is cut."""
        view = memoryview(body)
        for start in range(0, max(len(body), 1), PIECE_BYTES):
            piece = view[start : start + PIECE_BYTES]
            while self._n_under_way >= WINDOW_BYTES and not self._is_cut:
                await self._wait_for_change()
            if self._is_cut:
                return
            self._n_under_way += len(piece)
            self._link.send(
                Piece(self._number, pickle.PickleBuffer(piece), is_last and start + len(piece) == len(body))
            )

    def note_taken(self, n_bytes: int) -> None:
        """The other end has taken so many bytes."""
        self._n_under_way -= n_bytes
        self._changed.set()


class Inflow(_Flow):
    """A body that comes from the other end."""

    def __init__(self, link: Link, number: int) -> None:
        super().__init__(link, number)
        self._pieces: deque[Piece] = deque()

    async def next(self) -> tuple[bytes, bool] | None:
        """The next piece, and whether it is the last; None once there will be no more."""
        while not self._pieces and not self._is_cut:
            await self._wait_for_change()
        if self._is_cut:
            return None
        piece = self._pieces.popleft()
        body = bytes(piece.body)
        if body:
            self._link.send(Taken(self._number, len(body)))
        return body, piece.is_last

    def take(self, piece: Piece) -> None:
        """A piece has come."""
        self._pieces.append(piece)
        self._changed.set()

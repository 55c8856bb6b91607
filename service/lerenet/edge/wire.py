"""Messages over a stream socket between processes of one service: pickled heads, and arrays beside them.

    head length (u32) | number of arrays (u32) | length of each array (u64) | head | arrays

Arrays are never copied into a head: they go to the socket from where they lie, and come back into one block of memory,
so that a frame of 240 MB costs what its bytes cost.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import struct
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

INBOX_BYTES = 256 << 10
"""Room for what is read at once: messages with small arrays come in one piece."""

_PREFIX = struct.Struct("<II")

Packed = tuple[tuple[int, ...], pickle.PickleBuffer | memoryview]
"""Shape and memory of an array of uint8, as it stands in a message."""


def packed(array: NDArray[np.uint8]) -> Packed:
    """An array for a message; copied only where its memory has gaps."""
    return array.shape, pickle.PickleBuffer(np.ascontiguousarray(array).data)


def unpacked(sent: Packed) -> NDArray[np.uint8]:
    """The array of a message that has come; it lies in the message's memory."""
    shape, memory = sent
    array: NDArray[np.uint8] = np.frombuffer(memoryview(memory), np.uint8).reshape(shape)
    return array


class Link(asyncio.BufferedProtocol):
    """One end of the socket. Belongs to one event loop.

    Args:
        on_message: Called with each message, in order; must not raise.
        on_loss: Called once, when the other end is gone or the link was closed here.
    """

    def __init__(self, on_message: Callable[[Any], None], on_loss: Callable[[], None] = lambda: None) -> None:
        self._on_message = on_message
        self._on_loss = on_loss
        self._transport: asyncio.Transport | None = None
        self._inbox = bytearray(INBOX_BYTES)
        self._n_read = 0
        self._head: memoryview | None = None
        self._lengths: tuple[int, ...] = ()
        self._arrays: NDArray[np.uint8] | None = None
        self._n_filled = 0

    # -- sending

    def send(self, message: object) -> None:
        """Sends a message; its arrays must not change afterwards. One that comes too late is lost."""
        if self._transport is None or self._transport.is_closing():
            return
        arrays: list[memoryview] = []
        head = pickle.dumps(message, 5, buffer_callback=lambda array: arrays.append(array.raw()))
        lengths = struct.pack(f"<{len(arrays)}Q", *(array.nbytes for array in arrays))
        beginning = b"".join((_PREFIX.pack(len(head), len(arrays)), lengths, head))
        if arrays:
            self._transport.writelines([beginning, *arrays])
        else:
            self._transport.write(beginning)

    def close(self) -> None:
        """Ends the link after what waits to be sent."""
        if self._transport is not None:
            self._transport.close()

    # -- as the event loop calls it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._transport = None
        self._on_loss()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: straight into the arrays that they belong to, where these are large."""
        if self._arrays is not None:
            return self._arrays.data[self._n_filled :]
        return memoryview(self._inbox)[self._n_read :]

    def buffer_updated(self, nbytes: int) -> None:
        """Takes what has come."""
        if self._arrays is not None:
            self._n_filled += nbytes
            if self._n_filled == len(self._arrays):
                self._deliver()
            return
        self._n_read += nbytes
        self._take_apart()

    # -- receiving

    def _take_apart(self) -> None:
        """Every message that is whole in the inbox, and the head of the next, if it is."""
        start = 0
        while self._arrays is None and (n_taken := self._take_one(start)):
            start += n_taken
        rest = self._n_read - start
        if start:
            self._inbox[:rest] = self._inbox[start : self._n_read]
        self._n_read = rest

    def _take_one(self, start: int) -> int:
        """Reads a head, and as much of its arrays as is there; bytes that it took, 0 where the head is not whole."""
        inbox, n_there = memoryview(self._inbox), self._n_read - start
        if n_there < _PREFIX.size:
            return 0
        n_head, n_arrays = cast(tuple[int, int], _PREFIX.unpack_from(inbox, start))
        n_before = _PREFIX.size + 8 * n_arrays
        if n_there < n_before + n_head:
            self._make_room(n_before + n_head)
            return 0
        self._lengths = struct.unpack_from(f"<{n_arrays}Q", inbox, start + _PREFIX.size)
        self._head = memoryview(bytes(inbox[start + n_before : start + n_before + n_head]))
        begun = start + n_before + n_head
        self._arrays = np.empty(sum(self._lengths), np.uint8)
        self._n_filled = min(len(self._arrays), self._n_read - begun)
        self._arrays[: self._n_filled] = np.frombuffer(inbox[begun : begun + self._n_filled], np.uint8)
        taken = n_before + n_head + self._n_filled
        if self._n_filled == len(self._arrays):
            self._deliver()
        return taken

    def _make_room(self, n_bytes: int) -> None:
        if n_bytes > len(self._inbox):
            self._inbox = self._inbox + bytearray(n_bytes - len(self._inbox))

    def _deliver(self) -> None:
        assert self._head is not None
        assert self._arrays is not None
        memory, ends = self._arrays.data, np.cumsum((0, *self._lengths)).tolist()
        head, self._head, self._arrays = self._head, None, None
        arrays = [memory[start:end] for start, end in itertools.pairwise(ends)]
        # Both ends are processes of one service, over a socket pair that has no name: nobody else can write to it.
        self._on_message(pickle.loads(head, buffers=arrays))  # noqa: S301

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from lerenet.edge.wire import INBOX_BYTES, Link, packed, unpacked
from lerenet.errors import LERENetError, MalformedRequest, QueueFull


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


def written(*messages: object) -> bytes:
    link, transport = Link(lambda message: None), Transport()
    link.connection_made(transport)
    for message in messages:
        link.send(message)
    return bytes(transport.written)


def read(data: bytes, sizes: random.Random) -> list[Any]:
    heard: list[Any] = []
    link = Link(heard.append)
    link.connection_made(Transport())
    while data:
        room = link.get_buffer(-1)
        n = min(len(data), len(room), sizes.choice([1, 7, 1000, 100_000, 1 << 20]))
        room[:n] = data[:n]
        data = data[n:]
        link.buffer_updated(n)
    return heard


@pytest.mark.parametrize("seed", range(5))
async def test_messages_come_whole_in_whatever_pieces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 256, shape, np.uint8) for shape in ((3, 5), (700, 900, 3), (0, 4), (64, 64))]
    messages = [("small", 1), ("arrays", [packed(each) for each in arrays]), "x" * (2 * INBOX_BYTES), ("end", None)]

    heard = read(written(*messages), random.Random(seed))

    assert [heard[0], heard[2], heard[3]] == [messages[0], messages[2], messages[3]]
    for sent, come in zip(arrays, heard[1][1], strict=True):
        assert np.array_equal(sent, unpacked(come))


async def test_a_view_with_gaps_comes_as_it_looks() -> None:
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    [(come,)] = read(written((packed(image[2:5, 3:7]),)), random.Random(0))
    assert np.array_equal(unpacked(come), image[2:5, 3:7])


@pytest.mark.parametrize(
    "error", [QueueFull("full", retry_after_s=2.5), MalformedRequest("bad", pointer="/images/3")], ids=lambda e: e.code
)
async def test_errors_cross_with_all_they_say(error: LERENetError) -> None:
    [come] = read(written(error), random.Random(0))
    assert (type(come), vars(come), str(come)) == (type(error), vars(error), str(error))


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Link, asyncio.Queue[Any], asyncio.Event]]:
    """A link, what its other end hears, and whether that has lost it."""
    here, there = socket.socketpair()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    lost = asyncio.Event()
    link, other = Link(lambda message: None), Link(heard.put_nowait, lost.set)
    loop = asyncio.get_running_loop()
    await loop.create_unix_connection(lambda: link, sock=here)
    await loop.create_unix_connection(lambda: other, sock=there)
    yield link, heard, lost
    link.close()
    other.close()
    await lost.wait()


async def test_a_large_frame_crosses_a_socket(pair: tuple[Link, asyncio.Queue[Any], asyncio.Event]) -> None:
    link, heard, _ = pair
    frame = np.random.default_rng(0).integers(0, 256, (4000, 5000), np.uint8)
    link.send(("frame", packed(frame)))
    _, come = await heard.get()
    assert np.array_equal(unpacked(come), frame)


async def test_the_end_of_a_link_is_heard(pair: tuple[Link, asyncio.Queue[Any], asyncio.Event]) -> None:
    link, _, lost = pair
    link.close()
    async with asyncio.timeout(10):
        await lost.wait()

"""The core's end of a link: what is refused leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from lerenet.edge.desk import Desk, Office
from lerenet.edge.messages import Answered, Find
from lerenet.edge.wire import Link, packed
from lerenet.errors import Loading
from lerenet.runtime.device_maps import QueuedPart
from lerenet.runtime.device_queue import TimedMaps
from lerenet.runtime.findings import SegmentationQuery


class Refusing:
    """A runtime that is not ready."""

    def require_ready(self) -> None:
        raise Loading("not yet", retry_after_s=3.0)


class Busy:
    """A runtime whose device never comes to anything.

    Attributes:
        future: Of the only part of the only question.
    """

    def __init__(self) -> None:
        self.future: Future[TimedMaps] = Future()
        self.registry = self

    def require_ready(self) -> Busy:
        return self

    async def resolve(self, references: object) -> list[object]:
        return []

    def map(self, *question: object) -> SimpleNamespace:
        parts = [deque([QueuedPart(0, range(1), self.future)])]
        return SimpleNamespace(parts=parts, classes=(), submitted=0.0)


@asynccontextmanager
async def desk_with(runtime: object) -> AsyncIterator[tuple[Desk, Link, asyncio.Queue[Any], asyncio.Event]]:
    """A desk, the edge's end of its link, what the edge hears, and whether its question has joined the line."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    asked = asyncio.Event()
    office = cast(Office, SimpleNamespace(runtime=runtime, app=None, state={}, keys=None, glance=asked.set))
    desk = Desk(office)
    await loop.create_connection(lambda: desk.link, sock=ours)
    edge = Link(answers.put_nowait)
    await loop.create_connection(lambda: edge, sock=theirs)
    edge.send(Find(7, None, SegmentationQuery(), [packed(np.zeros((300, 200), np.uint8))], 1e9))
    yield desk, edge, answers, asked
    edge.close()
    async with asyncio.timeout(10):
        while desk.n_searches:
            await asyncio.sleep(0)
    desk.link.close()


async def test_a_refused_question_is_let_go() -> None:
    async with desk_with(Refusing()) as (desk, _, answers, _):
        answer = await answers.get()
        await asyncio.sleep(0)  # the task's end is told in the next turn

        assert isinstance(answer, Answered)
        assert isinstance(answer.error, Loading)
        assert desk.n_searches == 0


async def test_what_an_edge_waits_for_is_cancelled_when_it_is_gone() -> None:
    runtime = Busy()
    async with desk_with(runtime) as (desk, edge, _, asked):
        await asked.wait()
        assert desk.n_searches == 1
        edge.close()

    assert runtime.future.cancelled()
    assert desk.n_searches == 0

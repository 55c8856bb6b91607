"""The core's end of a link: what is refused leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from lerenet.edge.desk import Desk, Office
from lerenet.edge.messages import Answered, Find
from lerenet.edge.wire import Link, packed
from lerenet.errors import Loading
from lerenet.runtime.findings import SegmentationQuery


class Refusing:
    """A runtime that is not ready."""

    def require_ready(self) -> None:
        raise Loading("not yet", retry_after_s=3.0)


async def test_a_refused_question_is_let_go() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    office = cast(Office, SimpleNamespace(runtime=Refusing(), app=None, state={}, keys=None, glance=lambda: None))
    desk = Desk(office, lambda: None)
    await loop.create_connection(lambda: desk.link, sock=ours)
    edge = Link(answers.put_nowait)
    await loop.create_connection(lambda: edge, sock=theirs)

    edge.send(Find(7, None, SegmentationQuery(), [packed(np.zeros((300, 200), np.uint8))], 1e9))
    answer = await answers.get()
    await asyncio.sleep(0)  # the task's end is told in the next turn

    assert isinstance(answer, Answered)
    assert isinstance(answer.error, Loading)
    assert desk.n_searches == 0
    edge.close()
    desk.link.close()

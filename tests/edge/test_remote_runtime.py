"""An edge's runtime before a core that says what the test says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from api.plates import AREA_PX, HEIGHT, WIDTH, plate, plate_png
from lerenet.edge.core_link import CoreLink
from lerenet.edge.messages import BEAT_S, Answered, Cancel, Find, LetGo, Observed, Part, State
from lerenet.edge.remote_runtime import RemoteRuntime
from lerenet.edge.wire import Link, packed, unpacked
from lerenet.errors import Draining, Loading, QueueFull, Unavailable, UnknownClass
from lerenet.inference.confidence import Confidence
from lerenet.inference.regions import MaskRule
from lerenet.runtime.admission import LOADING_RETRY_S, Tallies
from lerenet.runtime.findings import Finding, SegmentationQuery, SoughtClass
from lerenet.runtime.segmentation import SegmentedFrame
from lerenet.settings import load_settings
from lerenet.support import seen_revision, watched

READY = State(is_live=True, refusal=None, crowd=None, weights_digest="0" * 64, retry_after_s=1.0, registry_revision=3)
BRIGHT = SoughtClass("bright", "0" * 16, MaskRule(0.5, 0, 0.0, Confidence(), 1.0))
LIMIT_S = 2.0
WITHIN_S = 60.0


@dataclass
class FakeCore:
    """The other end of an edge's link.

    Attributes:
        link: To the edge.
        heard: What the edge has said, in order.
    """

    link: Link
    heard: asyncio.Queue[Any]

    async def next(self) -> Any:
        async with asyncio.timeout(WITHIN_S):
            return await self.heard.get()


@dataclass
class Edge:
    """What stands between the requests of an edge and its core.

    Attributes:
        ends: Whether the core was gone, each time that the edge was told to end.
    """

    core: CoreLink
    runtime: RemoteRuntime
    ends: list[bool]

    async def segment(self, data: bytes) -> list[SegmentedFrame[Finding]]:
        async with self.runtime.work(WITHIN_S) as work:
            return await self.runtime.segment(work, [data], SegmentationQuery(), lambda finding: finding)

    async def until_heard(self) -> None:
        """Waits until the core has said how it is."""
        async with asyncio.timeout(WITHIN_S):
            while self.core.state is None or self.core.is_silent:
                await asyncio.sleep(0)

    def fall_silent(self) -> None:
        """Lets so much time go by that nobody waits any more."""
        for _ in range(int(LIMIT_S / BEAT_S) + 1):
            self.core.note_time()


@pytest.fixture
async def core() -> AsyncIterator[FakeCore]:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    fake = FakeCore(Link(heard.put_nowait), heard)
    yield fake
    fake.link.close()


@pytest.fixture
async def edge(core: FakeCore) -> AsyncIterator[Edge]:
    loop, (here, there), ends = asyncio.get_running_loop(), socket.socketpair(), list[bool]()
    link = CoreLink(ends.append, LIMIT_S)
    runtime = RemoteRuntime(load_settings(codec_threads=1), link, Tallies())
    await loop.create_unix_connection(lambda: link.link, sock=here)
    await loop.create_unix_connection(lambda: core.link, sock=there)
    yield Edge(link, runtime, ends)
    runtime.close()
    link.link.close()


@pytest.fixture
async def ready(edge: Edge, core: FakeCore) -> Edge:
    core.link.send(READY)
    await edge.until_heard()
    return edge


async def test_nothing_is_let_in_before_the_core_has_said_how_it_is(edge: Edge) -> None:
    with pytest.raises(Loading):
        edge.runtime.require_ready()
    assert edge.runtime.is_live


async def test_maps_of_the_core_become_findings_and_are_let_go_once_read(ready: Edge, core: FakeCore) -> None:
    with watched():
        asked = asyncio.create_task(ready.segment(plate_png()))
        question = await core.next()
        assert isinstance(question, Find)
        assert np.array_equal(unpacked(question.images[0]), plate())
        q = np.where(plate() == 200, 255, 0).astype(np.uint8)
        core.link.send(Part(question.number, 0, 0, [packed(q)], [BRIGHT], 7, 0.0, 0.0, 0.0))
        [frame] = await asked

    assert (frame.height, frame.width) == (HEIGHT, WIDTH)
    assert [(each.name, each.segmented.area_px) for each in frame.classes] == [("bright", AREA_PX)]
    assert await core.next() == LetGo(question.number, 0, 0)


async def test_a_refusal_of_the_core_comes_as_it_was_said(ready: Edge, core: FakeCore) -> None:
    async def refused() -> int | None:
        with watched():
            with pytest.raises(QueueFull, match="the line is full") as raised:
                await ready.segment(plate_png())
            assert raised.value.retry_after_s == 2.5
            return seen_revision()

    asked = asyncio.create_task(refused())
    question = await core.next()
    core.link.send(Answered(question.number, QueueFull("the line is full", retry_after_s=2.5), 7))

    assert await asked == 7


async def test_an_unknown_class_is_told_before_an_unreadable_image(ready: Edge, core: FakeCore) -> None:
    asked = asyncio.create_task(ready.segment(b"no image"))
    question = await core.next()
    assert not question.images
    core.link.send(Answered(question.number, UnknownClass("there is no such class")))

    with pytest.raises(UnknownClass):
        await asked


async def test_a_core_that_is_gone_fails_who_waits_and_who_comes(ready: Edge, core: FakeCore) -> None:
    asked = asyncio.create_task(ready.segment(plate_png()))
    await core.next()
    core.link.close()

    with pytest.raises(Draining):
        await asked
    with pytest.raises(Draining):
        await ready.segment(plate_png())
    assert ready.ends == [True]
    assert not ready.runtime.is_live


async def test_the_core_hears_of_a_caller_who_left(ready: Edge, core: FakeCore) -> None:
    asked = asyncio.create_task(ready.segment(plate_png()))
    question = await core.next()
    asked.cancel()

    assert await core.next() == Cancel(question.number)
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_nobody_waits_for_a_silent_core_until_it_is_heard_again(ready: Edge, core: FakeCore) -> None:
    asked = asyncio.create_task(ready.segment(plate_png()))
    question = await core.next()
    ready.fall_silent()

    with pytest.raises(Unavailable, match="no sign of life for more than 2 s") as raised:
        await asked
    assert raised.value.retry_after_s == LOADING_RETRY_S
    with pytest.raises(Unavailable):
        ready.runtime.require_ready()
    assert not ready.runtime.is_live
    assert await core.next() == Cancel(question.number)

    core.link.send(READY)
    await ready.until_heard()
    ready.runtime.require_ready()
    assert ready.runtime.is_live


async def test_what_is_answered_while_the_core_is_silent_is_not_kept_for_it(ready: Edge, core: FakeCore) -> None:
    ready.fall_silent()
    ready.runtime.metrics.count_problem("unavailable")
    ready.runtime.metrics.report()
    core.link.send(READY)
    await ready.until_heard()

    ready.runtime.metrics.count_problem("queue_full")
    ready.runtime.metrics.report()

    assert await core.next() == Observed([], ["queue_full"])

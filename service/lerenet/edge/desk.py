"""The core's end of one link: answers the questions and the requests of an edge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from starlette.types import ASGIApp

from lerenet.access import KeyRing
from lerenet.edge.hosting import HostedRequest
from lerenet.edge.messages import Answered, Cancel, CatchUp, Count, Find, LetGo, Observed, Opened, Part
from lerenet.edge.wire import Link, packed, unpacked
from lerenet.errors import LERENetError
from lerenet.observability.request_id import request_context
from lerenet.runtime.device_maps import DeviceMaps
from lerenet.runtime.device_queue import TimedMaps
from lerenet.runtime.runtime import Runtime
from lerenet.support import seen_revision, watched

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Office:
    """What all desks work with.

    Attributes:
        runtime: Of the core.
        app: Its application.
        state: Of the application's lifespan.
        keys: In force; None where none are asked for.
        glance: Called when the line in front of the device has changed.
    """

    runtime: Runtime
    app: ASGIApp
    state: Mapping[str, Any]
    keys: KeyRing | None
    glance: Callable[[], None]


class Desk:
    """Answers one edge. Belongs to the core's event loop.

    Args:
        office: What it works with.

    Attributes:
        link: To the edge.
    """

    def __init__(self, office: Office) -> None:
        self.link = Link(self._hear, self._lose)
        self._office = office
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._searches: dict[int, _Search] = {}
        self._hosted: dict[int, HostedRequest] = {}

    @property
    def n_searches(self) -> int:
        """Questions for maps that have not come to their end: each holds images or maps."""
        return len(self._searches)

    def _hear(self, message: Any) -> None:
        match message:
            case Find():
                self._searches[message.number] = search = _Search(
                    message.number, self._office, self.link, partial(self._drop, message.number)
                )
                self._start(message.number, search.run(message))
            case LetGo():
                read_of = self._searches.get(message.number)
                if read_of is not None:
                    read_of.let_go(message)
                    self._drop(message.number)
            case Observed():
                self._observe(message)
            case Cancel():
                self._cancel(message.number)
            case Opened():
                self._hosted[message.number] = hosted = HostedRequest(
                    message, self._office.app, self._office.state, self.link
                )
                self._start(message.number, hosted.run())
            case Count():
                self._start(message.number, self._count(message))
            case CatchUp():
                self._start(message.number, self._catch_up(message))
            case _:
                if message.number in self._hosted:
                    self._hosted[message.number].hear(message)

    def _start(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[number] = task
        task.add_done_callback(partial(self._finish, number))

    def _finish(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        self._hosted.pop(number, None)
        self._drop(number)

    def _drop(self, number: int) -> None:
        """Lets a search go of which nothing is left to be sent or read."""
        search = self._searches.get(number)
        if search is not None and search.is_done:
            del self._searches[number]

    def _cancel(self, number: int) -> None:
        search = self._searches.pop(number, None)
        if search is not None:
            search.cancel()
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()

    def _lose(self) -> None:
        for number in [*self._searches, *self._tasks]:
            self._cancel(number)

    def _observe(self, message: Observed) -> None:
        metrics = self._office.runtime.metrics
        for request in message.requests:
            metrics.observe_request(**request)
        for code in message.problems:
            metrics.count_problem(code)

    async def _count(self, question: Count) -> None:
        keys = self._office.keys
        standing = None if keys is None else await keys.count(question.key)
        self.link.send(Answered(question.number, value=standing))

    async def _catch_up(self, question: CatchUp) -> None:
        with _told(self.link, question.number):
            await self._office.runtime.catch_up(question.revision)
            self.link.send(Answered(question.number))


class _Search:
    """A question for maps: the jobs that make them, and what has been sent and not yet read."""

    def __init__(self, number: int, office: Office, link: Link, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._number = number
        self._office = office
        self._link = link
        self._coming: DeviceMaps | None = None
        self._waiting: dict[tuple[int, int], Future[TimedMaps]] = {}
        self._unread: dict[tuple[int, int], TimedMaps] = {}
        self._revision: int | None = None
        self._is_introduced = False
        self._is_asked = True

    @property
    def is_done(self) -> bool:
        """Whether nothing will be sent any more, and all has been read."""
        return not self._is_asked and not self._waiting and not self._unread

    async def run(self, question: Find) -> None:
        """Queues the jobs; what they make is sent as it comes. Nothing of the question is kept: it holds images."""
        try:
            with request_context(question.request_id or ""), watched(), _told(self._link, self._number):
                await self._ask(question)
        finally:
            self._is_asked = False

    async def _ask(self, question: Find) -> None:
        loaded, loop = self._office.runtime.require_ready(), asyncio.get_running_loop()
        resolved = await loaded.registry.resolve(question.query.references)
        self._revision = seen_revision()
        if not question.images:
            self._link.send(Answered(self._number, revision=self._revision))
            return
        images, query = [unpacked(each) for each in question.images], replace(question.query, roi=None)
        self._coming = loaded.map(images, resolved, query, question.deadline)
        parts = {(part.frame, part.places.start): part.future for line in self._coming.parts for part in line}
        self._coming.parts.clear()  # a future that stayed anywhere would keep its maps
        self._waiting = dict(parts)
        for key, future in parts.items():
            future.add_done_callback(partial(self._note_made, loop, key))
        self._office.glance()

    def _note_made(
        self, loop: asyncio.AbstractEventLoop, key: tuple[int, int], future: Future[TimedMaps]
    ) -> None:  # on the device thread
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(self._send, key)

    def let_go(self, message: LetGo) -> None:
        """A part has been read."""
        self._unread.pop((message.frame, message.first_place), None)

    def cancel(self) -> None:
        """Drops the jobs that have not started, and what has not been read."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.cancel()
        self._unread.clear()

    def _send(self, key: tuple[int, int]) -> None:
        future = self._waiting.pop(key, None)
        if future is None or future.cancelled() or self._coming is None:
            return
        error = future.exception()
        if error is not None:
            self.cancel()
            self._link.send(Answered(self._number, _as_sent(error), self._revision))
            self._on_end()
            return
        timed = self._unread[key] = future.result()
        classes = () if self._is_introduced else self._coming.classes
        self._is_introduced = True
        maps, submitted = [packed(q) for q in timed.maps], self._coming.submitted
        self._link.send(Part(self._number, *key, maps, classes, self._revision, submitted, timed.started, timed.ended))
        self._office.glance()


@contextlib.contextmanager
def _told(link: Link, number: int) -> Iterator[None]:
    """Whatever is raised below is told to the edge, which answers with it."""
    try:
        yield
    except Exception as error:
        link.send(Answered(number, _as_sent(error), seen_revision()))


def _as_sent(error: BaseException) -> BaseException:
    """An error as the edge hears it: one of ours as it is, of another only that this process's log has it."""
    if isinstance(error, LERENetError):
        return error
    _log.error("unexpected error", exc_info=error)
    return RuntimeError("the process with the device failed; its log has the cause")

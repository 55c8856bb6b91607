"""The core as an edge knows it: its last word on how it is, and questions to it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from lerenet.edge.messages import BEAT_S, Answered, Cancel, State, Stop
from lerenet.edge.wire import Link
from lerenet.errors import LERENetError, Unavailable
from lerenet.inference import refusals
from lerenet.runtime.admission import LOADING_RETRY_S

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Whoever waits for messages under a number."""

    def hear(self, message: Any) -> None:
        """Takes a message."""

    def lose(self, error: LERENetError) -> None:
        """The core is gone, or nobody can tell whether it is."""


class CoreLink:
    """An edge's end of the link. Belongs to one event loop.

    Args:
        on_stop: Called when the core says so, or is gone; with whether it is gone.
        longest_silence_s: Without a word of the core for longer, in seconds, nobody waits for it: it speaks four times
            a second.

    Attributes:
        link: To the core.
        state: Its last word; None before the first.
    """

    def __init__(self, on_stop: Callable[[bool], None], longest_silence_s: float) -> None:
        self.link = Link(self._hear, self._lose)
        self.state: State | None = None
        self._longest_silence_s = longest_silence_s
        self._silence_s = 0.0
        self._is_lost = False
        self._on_stop = on_stop
        self._numbers = itertools.count(1)
        self._listeners: dict[int, Listener] = {}

    @property
    def is_silent(self) -> bool:
        """Whether nothing has been heard for too long."""
        return self._is_lost or self._silence_s > self._longest_silence_s

    def require_voice(self) -> None:
        """Refuses whoever would ask in vain.

        Raises:
            Draining: The core is gone.
            Unavailable: It is silent.
        """
        if self._is_lost:
            raise refusals.stopped()
        if self.is_silent:
            raise self._silent()

    def note_time(self) -> None:
        """Another `BEAT_S` has gone by; once the core has been silent for too long, nobody waits any more.

        Counted and not measured: what this process has slept through is no silence of the core.
        """
        was_silent = self.is_silent
        self._silence_s += BEAT_S
        if self.is_silent and not was_silent:
            _log.error("the process with the device gives no sign of life", seconds=self._silence_s)
            for number, listener in list(self._listeners.items()):
                self.forget(number, cancel=True)  # it may wake up
                listener.lose(self._silent())

    def listen(self, listener: Listener) -> int:
        """A new number; what comes under it goes to the listener.

        Raises:
            Draining, Unavailable: As `require_voice`.
        """
        self.require_voice()
        number = next(self._numbers)
        self._listeners[number] = listener
        return number

    def forget(self, number: int, *, cancel: bool) -> None:
        """Listens no more; `cancel` tells the core that nobody waits."""
        if self._listeners.pop(number, None) is not None and cancel:
            self.link.send(Cancel(number))

    async def ask(self, make: Callable[[int], object]) -> Answered:
        """The answer to a question that has a single one.

        Args:
            make: Makes the question under a number.

        Raises:
            LERENetError: What the core answers instead, or that it is gone or silent.
        """
        waiting = _Single()
        number = self.listen(waiting)
        try:
            self.link.send(make(number))
            return await waiting.answer
        finally:
            self.forget(number, cancel=not waiting.answer.done() or waiting.answer.cancelled())

    def _hear(self, message: Any) -> None:
        if self.is_silent:
            _log.warning("the process with the device is heard again")
        self._silence_s = 0.0
        if isinstance(message, State):
            self.state = message
        elif isinstance(message, Stop):
            self._on_stop(False)
        else:
            listener = self._listeners.get(message.number)
            if listener is not None:
                listener.hear(message)

    def _silent(self) -> Unavailable:
        detail = (
            f"the process with the device gave no sign of life for more than {self._longest_silence_s:g} s: ask again"
        )
        return Unavailable(detail, retry_after_s=LOADING_RETRY_S)

    def _lose(self) -> None:
        self._is_lost = True
        for listener in list(self._listeners.values()):
            listener.lose(refusals.stopped())
        self._on_stop(True)


class _Single:
    """Waits for one answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

    def hear(self, message: Answered) -> None:
        if self.answer.done():
            return
        if message.error is None:
            self.answer.set_result(message)
        else:
            self.answer.set_exception(message.error)

    def lose(self, error: LERENetError) -> None:
        self.hear(Answered(0, error))

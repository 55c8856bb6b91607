"""How new a view of the registry is: the number an answer is good for, and waiting until a number is reached.

The number is the store's generation, which the API calls the registry's revision. A write is dated after it is stored,
a read before it looks: whoever has seen a number and asks for at least that much finds what they wrote.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from lerenet.errors import RegistryBehind, RegistryError, RegistryUnreachable
from lerenet.support.flights import SingleFlight
from lerenet.support.lines import StoreLines
from lerenet.support.store import SupportStore

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

WAIT_S = 2.0
"""How long a request waits for a view that is new enough, in seconds."""

STEP_S = 0.05
RETRY_AFTER_S = 1.0


@dataclass
class _Sight:
    """The number that the current request has seen, if it has looked."""

    revision: int | None = None


_current: ContextVar[_Sight | None] = ContextVar("lerenet_registry_revision", default=None)


@contextmanager
def watched() -> Iterator[None]:
    """Remembers, for everything below, which revision of the registry is seen."""
    token = _current.set(_Sight())
    try:
        yield
    finally:
        _current.reset(token)


def seen_revision() -> int | None:
    """The registry's revision that the current request has seen last; None when it has not looked, or is not watched.

    What was read shows every change up to it, and what was written is among those.
    """
    sight = _current.get()
    return None if sight is None else sight.revision


def saw_revision(revision: int | None) -> None:
    """Notes what another process has seen for the current request; None where it has not looked."""
    sight = _current.get()
    if sight is not None and revision is not None:
        sight.revision = revision


class Freshness:
    """Dates what is read from a store and written to it. Belongs to one event loop.

    Args:
        store: Whose generation counts.
        lines: The threads on which it is met.
    """

    def __init__(self, store: SupportStore, lines: StoreLines) -> None:
        self._store = store
        self._lines = lines
        self._known = 0
        self._questions: SingleFlight[int] = SingleFlight()  # a crowd that waits must not fill the line of reads

    @property
    def known(self) -> int:
        """The number of the last look, by whichever request."""
        return self._known

    async def look(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run a look in its turn, dated as a read."""
        return await self._lines.look(copy_context().run, self._dated(call, *args, **kwargs))

    async def read(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run a reading call in its turn, dated before it looks."""
        return await self._lines.read(copy_context().run, self._dated(call, *args, **kwargs))

    async def write(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run a writing call in its turn, dated after it has written."""

        def dated() -> Returned:
            written = call(*args, **kwargs)
            with suppress(RegistryError):  # what is stored is stored, whatever becomes of the store meanwhile
                self._note(self._store.refresh())
            return written

        return await self._lines.write(copy_context().run, dated)

    async def at_least(self, revision: int) -> None:
        """Wait until whatever is read from now on shows every change up to a revision; no cost when it does already.

        Raises:
            RegistryBehind: It did not within `WAIT_S`.
            RegistryUnreachable: What is in memory is older, and the source cannot be asked; nothing was done yet.
        """
        if self._known >= revision:
            return
        until = time.monotonic() + WAIT_S
        known = await self._questions.run("memory", self._remembered)
        while known < revision:
            try:
                known = await self._questions.run("source", self._refreshed)
            except RegistryUnreachable as err:
                raise _unreachable(known, revision) from err
            if known < revision:
                if time.monotonic() >= until:
                    raise _behind(known, revision)
                await asyncio.sleep(STEP_S)

    async def _remembered(self) -> int:
        self._known = await self._lines.look(self._store.generation)
        return self._known

    async def _refreshed(self) -> int:
        self._known = await self._lines.read(self._store.refresh)
        return self._known

    def _dated(
        self, call: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Callable[[], Returned]:
        def dated() -> Returned:
            self._note(self._store.generation())
            return call(*args, **kwargs)

        return dated

    def _note(self, revision: int) -> None:
        self._known = revision
        saw_revision(revision)


def _unreachable(known: int, wanted: int) -> RegistryUnreachable:
    detail = (
        f"the registry's database cannot be reached; what is known here is of revision {known}, and the request asks"
        f" for {wanted} at least: ask again"
    )
    return RegistryUnreachable(detail, retry_after_s=RETRY_AFTER_S)


def _behind(known: int, wanted: int) -> RegistryBehind:
    detail = (
        f"the registry is at revision {known} here, and the request asks for {wanted} at least: ask again. Where the"
        " registry was restored from a backup or replaced it counts lower than before: forget the number, and read anew"
    )
    return RegistryBehind(detail, retry_after_s=RETRY_AFTER_S)

"""One replica of a simulation: prototypes in memory and on disk, a device, and a way to the database."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Literal

import numpy as np
import simpy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lerenet.bench.fleet.database import Database, Events
    from lerenet.bench.fleet.plan import Plan

FOR_A_REQUEST, FOR_LATER = 0, 1
"""Who encodes first: a class that somebody waits for goes before one that is only made ready."""

Walk = Literal["none", "names", "shuffled"]


class Shared:
    """What all replicas see: the prototypes in the database, and who is making some.

    Args:
        n_classes: Of the registry.
        has_sharing: Whether prototypes go through the database and one replica makes them for all.

    Attributes:
        stored: (C,) bool: whether a class's prototypes are in the database.
        claims: Classes being made, each with the event of its end.
        n_encodings: Encodings that were begun.
    """

    def __init__(self, n_classes: int, has_sharing: bool) -> None:
        self.has_sharing = has_sharing
        self.stored = np.zeros(n_classes, dtype=bool)
        self.claims: dict[int, simpy.Event] = {}
        self.n_encodings = 0


class Replica:
    """Fetches or makes prototypes, each class once at a time.

    Attributes:
        memory: Classes whose prototypes are in memory, the least recently used first.
        on_disk: (C,) bool.
        flights: Classes on their way into memory, each with the event of its arrival.
        is_up: Whether it answers requests.
        pool: Its connections to the database.
    """

    def __init__(self, env: simpy.Environment, plan: Plan, database: Database, shared: Shared) -> None:
        self._env, self._plan, self._database, self._shared = env, plan, database, shared
        self._lines: tuple[deque[simpy.Event], ...] = (deque(), deque())
        self._is_busy = False
        self.pool = simpy.Resource(env, plan.pool_size)
        self.memory: OrderedDict[int, None] = OrderedDict()
        self.on_disk = np.zeros(plan.n_classes, dtype=bool)
        self.flights: dict[int, simpy.Event] = {}
        self.is_up = True

    def wanted(self, index: int, priority: int = FOR_A_REQUEST) -> simpy.Event | None:
        """The arrival of a class's prototypes, fetched or made if nobody does yet.

        None when they are in memory or on disk: a read of milliseconds is no event here.
        """
        if index in self.memory:
            self.memory.move_to_end(index)
            return None
        if self.on_disk[index]:
            self._hold(index)
            return None
        flight = self.flights.get(index)
        if flight is None:
            flight = self.flights[index] = self._env.process(self._fetch(index, priority))
        return flight

    def forget(self, index: int) -> None:
        """Drops a class that has a new revision."""
        self.memory.pop(index, None)
        self.on_disk[index] = False

    def empty(self) -> None:
        """A new container: nothing in memory, nothing on disk."""
        self.memory.clear()
        self.on_disk[:] = False

    def walk(self, order: Iterable[int]) -> Events:
        """Makes every class ready that nobody has made yet, one after another, as a service does after its start."""
        for index in order:
            if self._shared.stored[index] or index in self.memory or self.on_disk[index]:
                continue
            flight = self.wanted(index, FOR_LATER)
            if flight is not None:
                yield flight

    def encode(self, priority: int) -> Events:
        """Makes prototypes on the device, one class after another; those that a request waits for go first."""
        done = self._env.event()
        self._lines[priority].append(done)
        if not self._is_busy:
            self._is_busy = True
            self._env.process(self._work())
        yield done

    def _work(self) -> Events:
        while line := self._lines[FOR_A_REQUEST] or self._lines[FOR_LATER]:
            done = line.popleft()
            self._shared.n_encodings += 1
            yield self._env.timeout(self._plan.encode_s)
            done.succeed()
        self._is_busy = False

    def _fetch(self, index: int, priority: int) -> Events:
        if self._shared.has_sharing:
            yield from self._fetch_shared(index, priority)
        else:
            yield from self.encode(priority)
        self.on_disk[index] = self._plan.keeps_disk
        self._hold(index)
        del self.flights[index]

    def _hold(self, index: int) -> None:
        self.memory[index] = None
        if len(self.memory) > self._plan.n_in_memory:
            self.memory.popitem(last=False)

    def _fetch_shared(self, index: int, priority: int) -> Events:
        database, shared = self._database, self._shared
        with database.connection(self.pool) as connecting:
            yield from connecting
            yield from database.read(self._plan.prototype_bytes if shared.stored[index] else 0)
            if shared.stored[index]:
                return
        with database.connection() as connecting:  # an advisory lock belongs to a connection, for as long as it takes
            yield from connecting
            if index in shared.claims:
                yield shared.claims[index]
            if shared.stored[index]:
                yield from database.read(self._plan.prototype_bytes)
            else:
                yield from self._make_for_all(index, priority)

    def _make_for_all(self, index: int, priority: int) -> Events:
        claim = self._shared.claims[index] = self._env.event()
        yield from self._database.read(self._plan.image_bytes)
        yield from self.encode(priority)
        yield from self._database.write(self._plan.prototype_bytes)
        self._shared.stored[index] = True
        del self._shared.claims[index]
        claim.succeed()

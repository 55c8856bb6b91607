"""One replica of a simulation: prototypes in memory and on disk, a device, and a way to the database.

What it does for a class is `support/preparation.py`, `_make_ready`, with `support/sharing.py`, `turn`, and
`support/postgres/prototypes.py`: it looks in memory, on disk and in the database; then it claims the class, by a lock
on the one connection that holds all its claims, looks again after 0.1 to 0.4 s while another replica has it, for a
minute at most, and makes it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from lerenet.bench.fleet import costs
from lerenet.bench.fleet.database import Line
from lerenet.bench.fleet.device import Device
from lerenet.support.sharing import STEP_S, WAIT_S

if TYPE_CHECKING:
    import random
    from collections.abc import Generator, Sequence

    import simpy

    from lerenet.bench.fleet.database import Database, Events
    from lerenet.bench.fleet.plan import Plan

    Made = Generator[simpy.Event, object, bool]

AT_REST = 2
"""Connections of a replica that is up: one listens, one is the least that a pool keeps (`postgres/database.py`)."""


class Shared:
    """What all replicas see: the prototypes in the database, and who is making some.

    Args:
        n_classes: Of the registry.
        has_sharing: Whether prototypes go through the database and one replica makes them for all.

    Attributes:
        stored: For each class 1 if its prototypes are in the database, else 0.
        claimed: Classes on which a lock is held.
        waited_s: Longest wait for a connection of a pool.
        complete_s: When the last class was there; None: not yet.
        n_given_up: Waits for another replica that ended with their patience.
    """

    def __init__(self, n_classes: int, has_sharing: bool) -> None:
        self.has_sharing = has_sharing
        self.stored = bytearray(n_classes)
        self.claimed: set[int] = set()
        self.waited_s = 0.0
        self.complete_s: float | None = None
        self._n_missing = n_classes
        self.n_given_up = 0

    def fill(self) -> None:
        """All are there."""
        self.stored = bytearray(b"\1" * len(self.stored))
        self._n_missing = 0

    def keep(self, index: int, now_s: float) -> None:
        """A class's prototypes are there from now on."""
        self._n_missing -= 1 - self.stored[index]
        self.stored[index] = 1
        if not self._n_missing and self.complete_s is None:
            self.complete_s = now_s


class Replica:
    """Fetches or makes prototypes, each class once at a time.

    Attributes:
        memory: Classes whose prototypes are in memory, the least recently used first.
        on_disk: For each class 1 or 0.
        flights: Classes on their way into memory, each with the event of its arrival.
        device: Where encodings are made.
        is_up: Whether it answers requests.
    """

    def __init__(
        self, env: simpy.Environment, plan: Plan, database: Database, shared: Shared, chance: random.Random
    ) -> None:
        self._env, self._plan, self._database, self._shared, self._chance = env, plan, database, shared, chance
        self.device = Device(env, plan)
        self.memory: OrderedDict[int, None] = OrderedDict()
        self.on_disk = bytearray(plan.n_classes)
        self.flights: dict[int, simpy.Event] = {}
        self._n_trying = 0
        self._encoding = Line(env, plan.encodings_at_once) if plan.encodings_at_once else None
        self.is_up = False
        self.connect()

    def connect(self) -> None:
        """Comes up, with the connections that it has at rest."""
        self.is_up = True
        self._database.connected(AT_REST)
        self._pool = Line(self._env, self._plan.pool_size, self._grown)
        self._claims = Line(self._env, 1)

    def stop(self) -> None:
        """Goes down; the container that comes instead has nothing in memory and on disk."""
        self.is_up = False
        self._database.connected(-AT_REST - max(0, self._pool.n_opened - 1))
        self.empty()

    def empty(self) -> None:
        """Forgets what is in memory and on disk."""
        self.memory.clear()
        self.on_disk = bytearray(self._plan.n_classes)

    def wanted(self, index: int) -> simpy.Event | None:
        """The arrival of a class's prototypes, fetched or made if nobody does yet; its value says whether they came.

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
            flight = self.flights[index] = self._env.process(self._fetch(index))
        return flight

    def forget(self, index: int) -> None:
        """Drops a class that has a new revision."""
        self.memory.pop(index, None)
        self.on_disk[index] = 0

    def walk(self, order: Sequence[int]) -> Events:
        """Makes every class ready that is not, one after another, as `support/preparation.py`, `warm`, does at a start.

        As long as there is room in memory prototypes are loaded into it; beyond, it only looks whether they are there.
        """
        n_at_once = self._plan.checks_at_once
        for start in range(0, len(order), n_at_once):
            yield from self._walk_some(order[start : start + n_at_once])

    def _walk_some(self, order: Sequence[int]) -> Events:
        stored: set[int] = set()
        for index in order:
            if index in self.memory or self.on_disk[index]:
                continue
            has_room = len(self.memory) < self._plan.n_in_memory
            if self._shared.has_sharing and not has_room:
                if index not in stored:
                    yield from self.ask(costs.HAS + costs.ASSESSMENT)
                    stored = {each for each in order if self._shared.stored[each]}
                if index in stored:
                    continue
            flight = self.wanted(index)
            if flight is not None:
                yield flight

    def ask(self, n_statements: int, n_bytes: int = 0, n_commits: int = 0) -> Events:
        """Statements on a connection of the pool."""
        pool, asked_s = self._pool, self._env.now
        turn = pool.enter()
        if turn is not None:
            yield turn
            self._shared.waited_s = max(self._shared.waited_s, self._env.now - asked_s)
        yield self._env.timeout(self._database.spend(n_statements, n_bytes, n_commits))
        pool.leave()

    def encode(self) -> Made:
        """Makes a class from its images, and keeps it for all; False where the device has no room."""
        plan = self._plan
        done = self.device.encode()
        if done is None:
            return False
        yield done
        kept_bytes = plan.prototype_bytes if self._shared.has_sharing else 0
        n_statements = costs.KEEP * self._shared.has_sharing + costs.SAVE_ASSESSMENT
        yield from self.ask(n_statements, kept_bytes, 1 + self._shared.has_sharing)
        return True

    def write(self, n_before: int, n_bytes: int, n_locked: int) -> Events:
        """A change of the registry: what goes over before its lock, the wait for it, and what is done under it.

        See `postgres/store.py`; what follows on each change is counted with it.
        """
        pool, line = self._pool, self._database.generation
        for queue, cost in ((pool, (n_before, n_bytes, 0)), (line, (n_locked, 0, 1))):
            turn = queue.enter()
            if turn is not None:
                yield turn
            yield self._env.timeout(self._database.spend(*cost))
        line.leave()
        pool.leave()

    def tidy(self) -> Events:
        """What follows on a change: the generation is asked for, and what no class uses is forgotten."""
        plan = self._plan
        yield from self.ask(costs.AFTER_WRITE, plan.record_bytes)
        yield from self.ask(costs.ALL_DIGESTS + costs.FORGET, 2 * plan.n_classes * plan.digest_bytes)

    def _grown(self) -> None:
        if self._pool.n_opened > 1:  # the first one is there from the start
            self._database.connected()

    def _fetch(self, index: int) -> Made:
        shared, plan = self._shared, self._plan
        is_there = shared.has_sharing and bool(shared.stored[index])
        if shared.has_sharing:
            yield from self.ask(costs.FIND + costs.ASSESSMENT, plan.prototype_bytes * is_there)
        if not is_there:
            is_there = yield from self._in_turn(index) if shared.has_sharing else self._alone(index)
        if is_there:
            self.on_disk[index] = plan.keeps_disk
            self._hold(index)
        del self.flights[index]
        return is_there

    def _alone(self, index: int) -> Made:
        """Without the others; one class after the other all the same."""
        if self._encoding:
            yield from self._place(self._encoding)
        is_there = yield from self._make(index)
        self._leave()
        return is_there

    def _in_turn(self, index: int) -> Made:
        """One replica makes it, as far as the others' patience goes."""
        shared = self._shared
        self._n_trying += 1
        if self._n_trying == 1:
            self._database.connected()
            yield self._env.timeout(self._database.spend(costs.OPEN))
        is_ours = yield from self._claimed(index)
        is_there = bool(shared.stored[index])
        yield from self.ask(costs.HAS)
        if is_there:
            yield from self.ask(costs.FIND + costs.ASSESSMENT, self._plan.prototype_bytes)
        else:
            is_there = yield from self._make(index)
        self._leave()
        if is_ours:
            shared.claimed.discard(index)
            yield from self._on_claims(costs.RELEASE)
        self._n_trying -= 1
        if not self._n_trying:
            self._database.connected(-1)
        return is_there

    def _claimed(self, index: int) -> Made:
        """Waits for our turn; whether we hold the claim then."""
        shared, until_s = self._shared, self._env.now + WAIT_S
        while True:
            if self._encoding:
                yield from self._place(self._encoding)
            yield from self._on_claims(costs.CLAIM)
            if index not in shared.claimed:
                shared.claimed.add(index)
                return True
            if self._env.now >= until_s:
                shared.n_given_up += 1
                return False
            self._leave()
            yield self._env.timeout(self._chance.uniform(*STEP_S))
            is_stored = bool(shared.stored[index])
            yield from self.ask(costs.HAS + costs.ASSESSMENT * is_stored)
            if is_stored:
                if self._encoding:
                    yield from self._place(self._encoding)
                return False

    def _place(self, encoding: Line) -> Events:
        """One of those that encode at once, where that is limited."""
        turn = encoding.enter()
        if turn is not None:
            yield turn

    def _leave(self) -> None:
        if self._encoding:
            self._encoding.leave()

    def _on_claims(self, n_statements: int) -> Events:
        line = self._claims
        turn = line.enter()
        if turn is not None:
            yield turn
        yield self._env.timeout(self._database.spend(n_statements))
        line.leave()

    def _make(self, index: int) -> Made:
        yield from self.ask(costs.BLOBS * costs.BLOB, self._plan.image_bytes)
        is_made = yield from self.encode()
        if is_made and self._shared.has_sharing:
            self._shared.keep(index, self._env.now)
        return is_made

    def _hold(self, index: int) -> None:
        self.memory[index] = None
        if len(self.memory) > self._plan.n_in_memory:
            self.memory.popitem(last=False)

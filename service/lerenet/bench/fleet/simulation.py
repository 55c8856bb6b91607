"""A fleet at work: requests and changes come in, replicas fetch what they need, restart, and follow the registry."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import simpy

from lerenet.bench.fleet import costs
from lerenet.bench.fleet.database import BIN_S, Database
from lerenet.bench.fleet.following import Following
from lerenet.bench.fleet.popularity import shares
from lerenet.bench.fleet.replica import Replica, Shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lerenet.bench.fleet.database import Events
    from lerenet.bench.fleet.plan import Plan

TICK_S = 0.25
"""Requests of so many seconds are drawn together; their order within it means nothing here."""

PROMPT_S = 0.1
"""A request whose prototypes come within this time was answered warm: it waited for no encoding and in no line."""


@dataclass
class Answers:
    """Requests by the second in which they came.

    Attributes:
        n_all: Requests.
        n_in_memory: Found their prototypes in memory.
        n_prompt: Had them within `PROMPT_S`, from memory, disk or database.
        waits_s: Waits of all others that have ended, also by a refusal, in seconds.
    """

    n_all: NDArray[np.int64]
    n_in_memory: NDArray[np.int64]
    n_prompt: NDArray[np.int64]
    waits_s: list[float] = field(default_factory=list)


class Fleet:
    """The simulation of a plan; construct, say what happens, then `run`.

    Args:
        plan: The fleet.
        horizon_s: How long it runs, in seconds.
        has_notify: See `Following`.
        has_sharing: See `Shared`.
        is_warm: Whether prototypes are in the database, the popular ones in every memory and all on every disk.

    Attributes:
        database: With its load.
        shared: With the prototypes in the database.
        following: With the ages of views.
        answers: What requests met.
    """

    def __init__(
        self, plan: Plan, horizon_s: float, *, has_notify: bool = True, has_sharing: bool = True, is_warm: bool = True
    ) -> None:
        self.plan, self.horizon_s = plan, horizon_s
        self.env = simpy.Environment()
        self._random = np.random.default_rng(plan.seed)
        self.database = Database(self.env, plan)
        self.shared = Shared(plan.n_classes, has_sharing)
        chance = random.Random(plan.seed)  # noqa: S311 (no secret)
        self.replicas = [Replica(self.env, plan, self.database, self.shared, chance) for _ in range(plan.n_replicas)]
        self.following = Following(self.env, plan, self.database, self.replicas, self._random, has_notify)
        # names know nothing of popularity
        self._by_rank = self._random.permutation(plan.n_classes)
        self._cumulative = np.cumsum(shares(plan.n_classes, plan.zipf))
        n_bins = int(horizon_s / BIN_S) + 1
        n_all, n_in_memory, n_prompt = np.zeros((3, n_bins), dtype=np.int64)
        self.answers = Answers(n_all, n_in_memory, n_prompt)
        if is_warm:
            self._warm_up()

    @property
    def n_encodings(self) -> int:
        """That were begun."""
        return sum(replica.device.n_encodings for replica in self.replicas)

    @property
    def n_refused(self) -> int:
        """Encodings for which a device had no room."""
        return sum(replica.device.n_refused for replica in self.replicas)

    def run(self) -> None:
        """Runs to the horizon."""
        self.env.run(until=self.horizon_s)

    def add_requests(self) -> None:
        """Requests come, for whichever replicas are up."""
        self.env.process(self._requests())

    def add_changes(self) -> None:
        """Classes are registered anew and deleted."""
        self.env.process(self._changes())

    def start(self, replica: Replica) -> Events:
        """A replica reads the registry, then makes ready what is not, while it answers already.

        Where replicas share the work each goes through the classes in an order of its own (`support/preparation.py`,
        `warm`).
        """
        yield from self.following.start(self.replicas.index(replica))
        order = np.arange(self.plan.n_classes)
        if self.shared.has_sharing:
            self._random.shuffle(order)
        yield from replica.walk(order.tolist())

    def add_starts(self) -> None:
        """Every replica starts now."""
        for replica in self.replicas:
            self.env.process(self.start(replica))

    def add_rolling_restart(self, at_once: int, start_s: float) -> None:
        """Replicas start anew with nothing in memory and on disk, some at a time.

        Args:
            at_once: How many are away together.
            start_s: When it begins.
        """
        self.env.process(self._roll(at_once, start_s))

    def _warm_up(self) -> None:
        self.shared.fill()
        popular = self._by_rank[: self.plan.n_in_memory][::-1].tolist()
        for replica in self.replicas:
            replica.on_disk = bytearray([self.plan.keeps_disk] * self.plan.n_classes)
            replica.memory.update(dict.fromkeys(popular))

    def _requests(self) -> Events:
        while True:
            up = [replica for replica in self.replicas if replica.is_up]
            mean = self.plan.requests_per_s * self.plan.n_replicas / max(1, len(up)) * TICK_S
            for replica in up:
                n_requests = int(self._random.poisson(mean))
                ranks = np.searchsorted(self._cumulative, self._random.random(n_requests))
                self._ask(replica, self._by_rank[np.minimum(ranks, self.plan.n_classes - 1)].tolist())
            yield self.env.timeout(TICK_S)

    def _ask(self, replica: Replica, classes: Sequence[int]) -> None:
        second, memory = int(self.env.now / BIN_S), replica.memory
        n_in_memory = n_at_hand = 0
        for index in classes:
            n_in_memory += index in memory
            flight = replica.wanted(index)
            if flight is None:
                n_at_hand += 1
            else:
                assert flight.callbacks is not None  # it has not come yet
                flight.callbacks.append(partial(self._arrived, self.env.now))
        replica.device.frames(n_at_hand)
        self.answers.n_all[second] += len(classes)
        self.answers.n_in_memory[second] += n_in_memory
        self.answers.n_prompt[second] += n_at_hand

    def _arrived(self, asked_s: float, flight: simpy.Event) -> None:
        waited_s = self.env.now - asked_s
        if flight.value and waited_s <= PROMPT_S:
            self.answers.n_prompt[int(asked_s / BIN_S)] += 1
        else:
            self.answers.waits_s.append(waited_s)

    def _changes(self) -> Events:
        while True:
            yield self.env.timeout(float(self._random.exponential(1 / self.plan.changes_per_s)))
            replica = self.replicas[int(self._random.integers(len(self.replicas)))]
            is_deletion = bool(self._random.random() < self.plan.deletions)
            index = int(self._random.integers(self.plan.n_classes))
            self.env.process(self._delete(replica) if is_deletion else self._register(replica, index))

    def _register(self, replica: Replica, index: int) -> Events:
        yield from replica.ask(costs.CURRENT)
        if not (yield from replica.encode()):
            return
        yield from replica.write(costs.UPLOAD, self.plan.image_bytes, costs.REGISTER)
        for each in self.replicas:
            each.forget(index)
        self.following.commit()
        yield from replica.tidy()

    def _delete(self, replica: Replica) -> Events:
        yield from replica.write(costs.CHECK + 1, 0, costs.DELETE)
        self.following.commit(is_deletion=True)
        yield from replica.tidy()

    def _roll(self, at_once: int, start_s: float) -> Events:
        yield self.env.timeout(start_s)
        for first in range(0, len(self.replicas), at_once):
            group = self.replicas[first : first + at_once]
            for replica in group:
                replica.stop()
            yield self.env.timeout(self.plan.load_s)
            for replica in group:
                replica.connect()
                self.env.process(self.start(replica))

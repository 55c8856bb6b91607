"""How replicas learn of changes: told by NOTIFY, which may be lost, and by looking at the generation every so often."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import simpy

    from lerenet.bench.fleet.database import Database, Events
    from lerenet.bench.fleet.plan import Plan
    from lerenet.bench.fleet.replica import Replica


class Following:
    """The replicas' views of the registry.

    Args:
        env: Of the simulation.
        plan: Poll, NOTIFY and the size of a refresh.
        database: Answers them.
        replicas: Those who follow.
        random: Draws phases, delays and losses.
        has_notify: False: replicas only poll.

    Attributes:
        ages_s: For each change and replica, seconds from the commit until the replica knew.
    """

    def __init__(
        self,
        env: simpy.Environment,
        plan: Plan,
        database: Database,
        replicas: Sequence[Replica],
        random: np.random.Generator,
        has_notify: bool = True,
    ) -> None:
        self._env, self._plan, self._database, self._replicas = env, plan, database, replicas
        self._random, self._has_notify = random, has_notify
        self._commits_s: list[float] = []
        self._known = [0] * len(replicas)
        self.ages_s: list[float] = []
        for index in range(len(replicas)):
            env.process(self._poll(index, float(random.uniform(0, plan.poll_s))))

    def commit(self) -> None:
        """A change is committed now."""
        self._commits_s.append(self._env.now)
        if not self._has_notify:
            return
        delays_s = self._random.exponential(self._plan.notify_s, len(self._replicas))
        is_lost = self._random.random(len(self._replicas)) < self._plan.notify_loss
        for index, delay_s in enumerate(delays_s):
            if not is_lost[index]:
                self._env.process(self._told(index, float(delay_s)))

    def _told(self, index: int, delay_s: float) -> Events:
        yield self._env.timeout(delay_s)
        yield from self._refresh(index)

    def _poll(self, index: int, phase_s: float) -> Events:
        yield self._env.timeout(phase_s)
        while True:
            looked_s = self._env.now
            if self._replicas[index].is_up:
                with self._database.connection(self._replicas[index].pool) as connecting:
                    yield from connecting
                    yield from self._database.read()
                yield from self._refresh(index)
            yield self._env.timeout(max(0.0, looked_s + self._plan.poll_s - self._env.now))

    def _refresh(self, index: int) -> Events:
        """Reads what changed, as of the moment of reading; nothing is read where nothing did."""
        if self._known[index] == len(self._commits_s) or not self._replicas[index].is_up:
            return
        plan = self._plan
        n_bytes = plan.n_classes * plan.pointer_bytes if plan.lists_everything else plan.refresh_bytes
        with self._database.connection(self._replicas[index].pool) as connecting:
            yield from connecting
            seen = len(self._commits_s)
            yield from self._database.read(n_bytes)
        news = self._commits_s[self._known[index] : seen]
        self.ages_s += [self._env.now - commit_s for commit_s in news]
        self._known[index] = max(self._known[index], seen)

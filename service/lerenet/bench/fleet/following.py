"""How replicas learn of changes: told by NOTIFY, which may be lost, and by looking at the generation every so often.

As `support/postgres/following.py` does: one thread and one connection a replica, which waits for a notification or for
`poll_s` after the last look, whichever is first; what comes during a look is covered by one more. A look reads the
generation; where it has moved, a second statement reads the rows that changed, and only where the number of classes
shows a deletion, a third reads all names with their revisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.bench.fleet.costs import ALL_POINTERS, LISTEN, LOOK, NEWS, START

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
        plan: Poll, NOTIFY and the size of what is read.
        database: Answers them.
        replicas: Those who follow.
        random: Draws phases, delays and losses.
        has_notify: False: replicas only poll.

    Attributes:
        ages_s: For each change and each replica that is up, seconds from the commit until the replica knew.
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
        self._commits: list[tuple[float, bool]] = []
        self._known = [0] * len(replicas)
        self._looked_s = [-float(phase_s) for phase_s in random.uniform(0, plan.poll_s, len(replicas))]
        self._is_looking = [False] * len(replicas)
        self._is_told = [False] * len(replicas)
        self.ages_s: list[float] = []
        for index in range(len(replicas)):
            env.process(self._poll(index))

    def commit(self, is_deletion: bool = False) -> None:
        """A change is committed now."""
        self._commits.append((self._env.now, is_deletion))
        if not self._has_notify:
            return
        delays_s = self._random.exponential(self._plan.notify_s, len(self._replicas))
        is_lost = self._random.random(len(self._replicas)) < self._plan.notify_loss
        for index, delay_s in enumerate(delays_s):
            if not is_lost[index]:
                self._env.process(self._told(index, float(delay_s)))

    def start(self, index: int) -> Events:
        """A replica that starts reads every record before it is ready, and then listens."""
        plan = self._plan
        self._known[index] = len(self._commits)
        yield self._env.timeout(self._database.spend(START + NEWS, plan.n_classes * plan.record_bytes))
        yield self._env.timeout(self._database.spend(LISTEN))
        self._looked_s[index] = self._env.now

    def _told(self, index: int, delay_s: float) -> Events:
        yield self._env.timeout(delay_s)
        if self._is_looking[index]:
            self._is_told[index] = True
        elif self._replicas[index].is_up:
            yield from self._look(index)

    def _poll(self, index: int) -> Events:
        poll_s = self._plan.poll_s
        while True:
            rest_s = self._looked_s[index] + poll_s - self._env.now
            if rest_s > 0:
                yield self._env.timeout(rest_s)
            elif self._is_looking[index] or not self._replicas[index].is_up:
                yield self._env.timeout(poll_s)
            else:
                yield from self._look(index)

    def _look(self, index: int) -> Events:
        self._is_looking[index] = self._is_told[index] = True
        while self._is_told[index]:
            self._is_told[index] = False
            yield self._env.timeout(self._database.spend(LOOK))
            if self._known[index] < len(self._commits):
                yield from self._catch_up(index)
        self._is_looking[index] = False
        self._looked_s[index] = self._env.now

    def _catch_up(self, index: int) -> Events:
        """Reads what changed, as of the moment of asking."""
        plan, first, seen = self._plan, self._known[index], len(self._commits)
        news = self._commits[first:seen]
        yield self._env.timeout(self._database.spend(NEWS, len(news) * plan.record_bytes))
        if any(is_deletion for _, is_deletion in news):
            yield self._env.timeout(self._database.spend(ALL_POINTERS, plan.n_classes * plan.pointer_bytes))
        if self._replicas[index].is_up:
            self.ages_s += [self._env.now - commit_s for commit_s, _ in news]
        self._known[index] = max(self._known[index], seen)

"""The database of a simulation: cores, a link and connections.

Cores and link serve in order of arrival, and how long a statement takes is known when it arrives. So its end is
reckoned then and there, with one event instead of one for each thing that it waits for.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heapreplace
from typing import TYPE_CHECKING

import simpy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lerenet.bench.fleet.plan import Plan

    Events = Generator[simpy.Event, object, None]

BIN_S = 1.0
"""Load is counted by the second."""


class Database:
    """PostgreSQL as far as its load goes. Statements are counted when they end.

    Args:
        env: Of the simulation.
        plan: Rates and sizes.

    Attributes:
        queries: Number of statements by second.
        n_bytes: Bytes sent and received by second.
        n_connections: Open now.
        peak_connections: Most that were open.
        generation: The row that whoever writes has locked until the commit (`postgres/statements.py`, `lock`).
    """

    def __init__(self, env: simpy.Environment, plan: Plan) -> None:
        self._env = env
        self._read_s = plan.database_cores / plan.database_reads_per_s
        self._commit_s = plan.database_cores / plan.database_writes_per_s
        self._round_trip_s = plan.round_trip_ms / 1_000
        self._bytes_per_s = plan.database_bytes_per_s
        self._cores_free_s = [0.0] * plan.database_cores
        self._link_free_s = 0.0
        self.queries: Counter[int] = Counter()
        self.n_bytes: Counter[int] = Counter()
        self.n_connections = self.peak_connections = 0
        self.generation = Line(env, 1)

    def spend(self, n_statements: int, n_bytes: int = 0, n_commits: int = 0) -> float:
        """Seconds until statements that are sent now, one after another, are answered.

        Args:
            n_statements: All of them; they take a core for as long as that many reads do.
            n_bytes: That go over the link, either way.
            n_commits: How many of them are written to the disk.
        """
        now_s = self._env.now
        core_s = n_statements * self._read_s + n_commits * self._commit_s
        end_s = max(now_s, self._cores_free_s[0]) + core_s
        heapreplace(self._cores_free_s, end_s)
        if n_bytes:
            end_s = self._link_free_s = max(end_s, self._link_free_s) + n_bytes / self._bytes_per_s
        second = int(end_s / BIN_S)
        self.queries[second] += n_statements
        self.n_bytes[second] += n_bytes
        return end_s - now_s + n_statements * self._round_trip_s

    def connected(self, n_connections: int = 1) -> None:
        """Connections are opened; closed where the number is below 0."""
        self.n_connections += n_connections
        self.peak_connections = max(self.peak_connections, self.n_connections)


class Line:
    """Places that are taken in order of arrival. Whoever is handed an event waits for it.

    Args:
        env: Of the simulation.
        n_places: At most.
        opened: Told of each place when it is first taken.

    Attributes:
        n_opened: Places that were ever taken.
    """

    def __init__(self, env: simpy.Environment, n_places: int, opened: Callable[[], None] = lambda: None) -> None:
        self._env, self._n_places, self._opened = env, n_places, opened
        self._n_taken = 0
        self._waiting: deque[simpy.Event] = deque()
        self.n_opened = 0

    def enter(self) -> simpy.Event | None:
        """Takes a place, now or when the event comes; None: now."""
        if self._n_taken < self._n_places:
            self._n_taken += 1
            if self._n_taken > self.n_opened:
                self.n_opened = self._n_taken
                self._opened()
            return None
        turn = self._env.event()
        self._waiting.append(turn)
        return turn

    def leave(self) -> None:
        """Gives the place to whoever has waited longest."""
        if self._waiting:
            self._waiting.popleft().succeed()
        else:
            self._n_taken -= 1

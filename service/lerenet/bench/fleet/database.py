"""The database of a simulation: connections, cores and a link, each with a line in front of it."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import simpy

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from lerenet.bench.fleet.plan import Plan

    Events = Generator[simpy.Event, object, None]

BIN_S = 1.0
"""Load is counted by the second."""


class Database:
    """PostgreSQL as far as its load goes. Statements are counted when they end.

    Args:
        env: Of the simulation.
        plan: Rates and limits.

    Attributes:
        queries: Number of statements by second.
        n_bytes: Bytes sent and received by second.
        peak_connections: Most connections that were at work, listeners included.
        waited_s: Longest wait for a connection.
    """

    def __init__(self, env: simpy.Environment, plan: Plan) -> None:
        self._env = env
        self._plan = plan
        self._cores = simpy.Resource(env, plan.database_cores)
        self._link = simpy.Resource(env, 1)
        self._all = simpy.Resource(env, plan.query_connections)
        self.queries: Counter[int] = Counter()
        self.n_bytes: Counter[int] = Counter()
        self.peak_connections = plan.n_replicas
        self.waited_s = 0.0

    @contextmanager
    def connection(self, pool: simpy.Resource | None = None) -> Iterator[Events]:
        """A connection out of a replica's pool, or one of its own: yield from what this gives, then run statements."""
        with ExitStack() as held:
            yield self._connected(held, [self._all] if pool is None else [pool, self._all])

    def read(self, n_bytes: int = 0) -> Events:
        """A statement that reads; runs on a connection."""
        yield from self._statement(self._plan.database_cores / self._plan.database_reads_per_s, n_bytes)

    def write(self, n_bytes: int = 0) -> Events:
        """A transaction that writes and commits; runs on a connection."""
        yield from self._statement(self._plan.database_cores / self._plan.database_writes_per_s, n_bytes)

    def _connected(self, held: ExitStack, lines: Sequence[simpy.Resource]) -> Events:
        asked_s = self._env.now
        for line in lines:  # who waits for the pool takes nothing of the database meanwhile
            yield held.enter_context(line.request())
        self.waited_s = max(self.waited_s, self._env.now - asked_s)
        self.peak_connections = max(self.peak_connections, self._plan.n_replicas + self._all.count)

    def _statement(self, core_s: float, n_bytes: int) -> Events:
        with self._cores.request() as core:
            yield core
            yield self._env.timeout(core_s)
        if n_bytes:
            with self._link.request() as link:
                yield link
                yield self._env.timeout(n_bytes / self._plan.database_bytes_per_s)
        second = int(self._env.now / BIN_S)
        self.queries[second] += 1
        self.n_bytes[second] += n_bytes

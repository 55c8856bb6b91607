"""The edges of a core: started, told how it is, killed when they hang, started again when they die, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from lerenet.edge.board import Board
from lerenet.edge.desk import Desk, Office
from lerenet.edge.messages import BEAT_S, State, Stop
from lerenet.errors import LERENetError
from lerenet.runtime.runtime import Runtime

LOOK_S = 0.025
"""Shortest time between two looks at the line in front of the device, in seconds."""

BEGIN_WITHIN_S = 120.0
"""Before the first sign of life of an edge, in seconds: it loads its modules first."""

KILL_AFTER_S = 5.0
"""After the time to drain, for an edge to end by itself, in seconds."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0
"""Before an edge that died is started again, in seconds: longer each time that it dies young."""

YOUNG_S = 30.0

_log = structlog.get_logger(__name__)


class Crew:
    """The edges.

    Args:
        runtime: Of the core.
        board: A slot for each edge, behind the core's own.
        listeners: Bound sockets that edges accept connections from.
        office: Makes what desks work with, given what to call when the line has changed.
    """

    def __init__(
        self,
        runtime: Runtime,
        board: Board,
        listeners: Sequence[socket.socket],
        office: Callable[[Callable[[], None]], Office],
    ) -> None:
        self._runtime = runtime
        self._board = board
        self._listeners = listeners
        self._office = office(self._glance)
        longest_silence_s = runtime.settings.longest_process_silence_s
        self._edges = [_Edge(slot, self, longest_silence_s) for slot in range(1, board.n_slots)]
        self._looked_at = 0.0
        self._told: tuple[object, ...] = ()
        self.is_stopping = False

    async def start(self) -> None:
        """Starts all of them; they answer as soon as they are there."""
        for edge in self._edges:
            await edge.start()
        self._pushing = asyncio.create_task(self._push_for_ever())

    async def stop(self, within_s: float, is_forced: Callable[[], bool] = lambda: False) -> None:
        """Lets them answer what they have, then ends them.

        Args:
            within_s: For the answers, in seconds.
            is_forced: Whether nobody wants to wait any more.
        """
        self.is_stopping = True
        for listener in self._listeners:
            _close(listener)
        for edge in self._edges:
            edge.stop()
        until = time.monotonic() + within_s + KILL_AFTER_S
        while any(edge.is_alive for edge in self._edges) and time.monotonic() < until and not is_forced():
            await asyncio.sleep(0.02)
        self._pushing.cancel()
        for edge in self._edges:
            await edge.end()

    def _glance(self) -> None:
        """Looks at the line, unless somebody just has, and tells the edges if they should know."""
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._look()

    def _look(self, *, must_tell: bool = False) -> None:
        self._looked_at = time.monotonic()
        state = state_of(self._runtime)
        known = (state.is_live, str(state.refusal), str(state.crowd), state.weights_digest, state.registry_revision)
        if must_tell or known != self._told:
            self._told = known
            for edge in self._edges:
                edge.tell(state)

    async def _push_for_ever(self) -> None:
        while True:
            self._look(must_tell=True)
            for edge in self._edges:
                edge.note_time(self._board.beats(edge.slot))
            await asyncio.sleep(BEAT_S)

    # -- for its edges

    async def begin(self, slot: int, on_end: Callable[[int], None]) -> tuple[subprocess.Popen[bytes], Desk]:
        """Starts the process of an edge, and answers it."""
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with there:
            descriptors = (there.fileno(), self._board.descriptor, *(each.fileno() for each in self._listeners))
            process = subprocess.Popen(
                [sys.executable, "-m", "lerenet.edge", *map(str, descriptors)],
                stdin=subprocess.PIPE,
                pass_fds=descriptors,
                process_group=0,  # signals to the group are the core's to obey
                env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
            )
        assert process.stdin is not None
        with process.stdin:
            pickle.dump((self._runtime.settings, slot), process.stdin)
        desk = Desk(self._office)
        await loop.create_unix_connection(lambda: desk.link, sock=here)
        desk.link.send(state_of(self._runtime))

        def wait() -> None:
            status = process.wait()
            loop.call_soon_threadsafe(on_end, status)

        threading.Thread(target=wait, name=f"lerenet-edge-{slot}", daemon=True).start()
        return process, desk

    def strike_out(self, slot: int) -> None:
        """Forgets what a dead edge held."""
        self._board.strike_out(slot)


class _Edge:
    """One edge, in whichever process it now is."""

    def __init__(self, slot: int, crew: Crew, longest_silence_s: float) -> None:
        self.slot = slot
        self._crew = crew
        self._longest_silence_s = longest_silence_s
        self._silence_s = 0.0
        self._n_beats = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._desk: Desk | None = None
        self._pause_s = FIRST_PAUSE_S
        self._began = 0.0
        self._restarting: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        return self._process is not None

    async def start(self) -> None:
        self._began = time.monotonic()
        self._silence_s, self._n_beats = 0.0, 0
        self._process, self._desk = await self._crew.begin(self.slot, self._note_end)
        _log.info("an HTTP process starts", slot=self.slot, pid=self._process.pid)

    def tell(self, state: State) -> None:
        if self._desk is not None:
            self._desk.link.send(state)

    def note_time(self, n_beats: int) -> None:
        """Another `BEAT_S` has gone by; kills what has been silent for too long.

        Counted and not measured: what this process has slept through is no silence of the edge.
        """
        self._silence_s = 0.0 if n_beats != self._n_beats else self._silence_s + BEAT_S
        self._n_beats = n_beats
        longest_s = self._longest_silence_s if n_beats else max(self._longest_silence_s, BEGIN_WITHIN_S)
        if self._process is not None and self._silence_s > longest_s:
            pid = self._process.pid
            _log.error("an HTTP process gives no sign of life, and is killed", slot=self.slot, pid=pid)
            self._process.kill()
            self._silence_s = 0.0

    def stop(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
        if self._desk is not None:
            self._desk.link.send(Stop())

    async def end(self) -> None:
        if self._process is not None:
            _log.warning("an HTTP process does not end, and is killed", slot=self.slot, pid=self._process.pid)
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        if self._restarting is not None:
            await asyncio.gather(self._restarting, return_exceptions=True)
        if self._desk is not None:
            self._desk.link.close()

    def _note_end(self, status: int) -> None:
        assert self._process is not None
        pid, self._process = self._process.pid, None
        if self._desk is not None:
            self._desk.link.close()
        self._crew.strike_out(self.slot)
        if not self._crew.is_stopping:
            _log.error("an HTTP process died; another is started", slot=self.slot, pid=pid, status=status)
            self._restarting = asyncio.create_task(self._start_again())

    async def _start_again(self) -> None:
        is_young = time.monotonic() - self._began < YOUNG_S
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) if is_young else FIRST_PAUSE_S
        while True:
            await asyncio.sleep(self._pause_s)
            try:
                await self.start()
            except OSError as error:  # no memory, no process, no descriptor: there may be again
                _log.error("an HTTP process cannot be started", slot=self.slot, reason=str(error))
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            else:
                return


def state_of(runtime: Runtime) -> State:
    """How the core is, as edges should know it."""
    refusal = _refusal(runtime.require_ready)
    crowd = None
    if refusal is None:
        crowd = _refusal(lambda: runtime.check_room(time.monotonic() + runtime.settings.deadline_s))
    return State(
        is_live=runtime.is_live,
        refusal=refusal,
        crowd=crowd,
        weights_digest=runtime.weights_digest,
        retry_after_s=runtime.retry_after_s(),
        registry_revision=0 if refusal is not None else runtime.registry.known_revision,
    )


def _refusal(check: Callable[[], object]) -> LERENetError | None:
    try:
        check()
    except LERENetError as error:
        return error
    return None


def _close(listener: socket.socket) -> None:
    """Closes a socket that edges wait at: they wake up, which closing it alone would not do."""
    with contextlib.suppress(OSError):  # macOS: whoever is accepted there finds the edge about to end
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()

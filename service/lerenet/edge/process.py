"""An edge: a process that speaks HTTP on the core's sockets. It ends when the core says so, or is gone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import uvicorn

from lerenet.api.connection import BoundedHead
from lerenet.api.process import configuration, prepare_process
from lerenet.edge.application import Fork, edge_app
from lerenet.edge.board import Board
from lerenet.edge.core_link import CoreLink
from lerenet.edge.messages import BEAT_S
from lerenet.edge.relay import Relay
from lerenet.edge.remote_runtime import RemoteKeyRing, RemoteRuntime
from lerenet.settings import Settings

LAST_ANSWERS_S = 2.0
"""After the core is gone, for callers to hear of it, in seconds."""

FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
FULL_PAUSE_S = 1.0
"""Before another connection is accepted where there was no descriptor or memory for one, in seconds."""


def main() -> None:
    """Runs an edge with the descriptors of the command line, and the settings from standard input."""
    for each in (signal.SIGINT, signal.SIGTERM):  # whoever signals every process at once means the core
        signal.signal(each, signal.SIG_IGN)
    link, board, *listeners = map(int, sys.argv[1:])
    # Written by the process that started this one, through a pipe of its own.
    settings, slot = pickle.load(sys.stdin.buffer)  # noqa: S301
    prepare_process(settings)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # the core tells of starts and ends
    edge = Edge(settings, Board.opened(board), slot, [socket.socket(fileno=each) for each in listeners])
    with asyncio.Runner(loop_factory=edge.config.get_loop_factory()) as runner:
        runner.run(edge.live(socket.socket(fileno=link)))


class Edge(uvicorn.Server):
    """uvicorn without a listening loop of its own: threads wait at the shared sockets, whom the kernel wakes in turn.

    Args:
        settings: Of the core.
        board: Of the counts over all processes.
        slot: Its column of the board.
        listeners: Shared by all edges.
    """

    def __init__(self, settings: Settings, board: Board, slot: int, listeners: Sequence[socket.socket]) -> None:
        tallies = board.tallies(slot)
        tallies.http_processes.add(1)
        self._board = board
        self._slot = slot
        self._core = CoreLink(self._end, settings.longest_process_silence_s)
        self._front = RemoteRuntime(settings, self._core, tallies)
        keys = None if settings.api_keys_file is None else RemoteKeyRing(settings, self._core)
        app = Fork(edge_app(self._front, keys), Relay(self._core), settings.root_path)
        super().__init__(configuration(app, settings))
        self._listeners = listeners
        self._arrivals: set[asyncio.Task[object]] = set()

    async def live(self, link: socket.socket) -> None:
        """Serves to the end."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self._core.link, sock=link)
        beating = asyncio.create_task(self._beat_for_ever())
        await self.serve(sockets=[])
        self._front.close()
        self._core.link.close()
        beating.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals as they are: they are the core's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            threading.Thread(target=self._accept_for_ever, args=(listener, loop), daemon=True).start()

    async def _beat_for_ever(self) -> None:
        while True:
            self._board.beat(self._slot)
            self._core.note_time()
            await asyncio.sleep(BEAT_S)

    def _end(self, is_lost: bool) -> None:
        if is_lost:
            self.config.timeout_graceful_shutdown = math.ceil(LAST_ANSWERS_S)
            for listener in self._listeners:  # for the other edges too: nobody is there to answer
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
        self.should_exit = True

    def _accept_for_ever(self, listener: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        while not self.should_exit:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if error.errno in FULL:
                    time.sleep(FULL_PAUSE_S)
                    continue
                if error.errno == errno.ECONNABORTED:
                    continue
                return  # shut down: the end
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                loop.call_soon_threadsafe(self._take, connection)
            except RuntimeError:  # the loop has ended meanwhile
                connection.close()
                return

    def _take(self, connection: socket.socket) -> None:
        if self.should_exit:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    def _protocol(self) -> asyncio.Protocol:
        return BoundedHead(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

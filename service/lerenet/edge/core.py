"""`lerenet serve` with edges: the process that has the device, and speaks no HTTP itself."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI

from lerenet.api import server
from lerenet.edge.board import CORE_SLOT, Board
from lerenet.edge.crew import Crew
from lerenet.edge.desk import Office
from lerenet.runtime.engine import Engine, build_engine
from lerenet.settings import Settings

BACKLOG = 2048
"""Connections that wait to be accepted; uvicorn's own number."""

STARTUP_FAILURE = 3
"""Exit status when the address cannot be had; uvicorn's own."""

_log = structlog.get_logger(__name__)
_of_uvicorn = logging.getLogger("uvicorn.error")


def serve(settings: Settings, *, build: Callable[[Settings], Engine] = build_engine) -> int:
    """Serves until SIGTERM or SIGINT, or until only a restart helps; see `api.server.serve`."""
    with Board.made(1 + settings.http_processes) as board:
        return server.serve(
            settings, build=build, tallies=board.tallies(CORE_SLOT), make_server=partial(CoreServer, board=board)
        )


class CoreServer(server.Server):
    """Runs the application without a socket of its own; edges bring the requests.

    Args:
        config: Of uvicorn.
        app: The application.
        settings: What the operator decided.
        board: Of the counts over all processes.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, settings: Settings, *, board: Board) -> None:
        super().__init__(config, app, settings)
        self._app = app
        self._settings = settings
        self._board = board
        self._crew: Crew | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Binds the address, starts the application, then the edges."""
        listeners = _bound(self._settings.host, self._settings.port)
        await super().startup(sockets=[])
        self._crew = Crew(self._runtime, self._board, listeners, self._office)
        await self._crew.start()
        self._log_address(listeners)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the edges after what they have, then the application."""
        if self._crew is not None:
            await self._crew.stop(self._settings.drain_s, lambda: self.force_exit)
        await super().shutdown(sockets=[])

    def _office(self, glance: Callable[[], None]) -> Office:
        return Office(self._runtime, self._app, self.lifespan.state, self._app.state.keys, glance)

    def _log_address(self, listeners: list[socket.socket]) -> None:
        port = listeners[0].getsockname()[1]
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        _of_uvicorn.info("Uvicorn running on http://%s:%d (Press CTRL+C to quit)", host, port)


def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of a host; ends the process where one cannot be had, as uvicorn does."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((each[0], each[4][:2]) for each in found):
            sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
    except OSError as error:
        _of_uvicorn.error(error)
        for each in sockets:
            each.close()
        sys.exit(STARTUP_FAILURE)
    return sockets

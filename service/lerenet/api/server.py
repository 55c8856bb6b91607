"""Runs the application with uvicorn, in the one process that has the device."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from lerenet.api.app import create_app
from lerenet.api.process import configuration, prepare_process
from lerenet.runtime.admission import Tallies
from lerenet.runtime.engine import Engine, build_engine
from lerenet.runtime.runtime import Runtime
from lerenet.settings import Settings

EXIT_DEVICE_LOST = 70
"""Exit status when only a restart helps (EX_SOFTWARE of sysexits.h)."""

LAST_ANSWERS_S = 2.0
"""Between the loss of the device and the end: time for waiting callers and probes to hear of it, in seconds."""

END_WITHIN_S = 15.0
"""After the loss of the device the process is gone by then, in seconds, whatever a hanging driver holds."""

LOOK_S = 0.1
"""Between two looks for a second signal, in seconds."""

_log = structlog.get_logger(__name__)


def serve(
    settings: Settings,
    *,
    build: Callable[[Settings], Engine] = build_engine,
    tallies: Tallies | None = None,
    make_server: Callable[[uvicorn.Config, FastAPI, Settings], Server] | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT, or until only a restart helps.

    Args:
        settings: Read once.
        build: Makes the engine.
        tallies: Where what is let in is counted; None: in this process.
        make_server: Makes what brings requests to the application; None: uvicorn in this process.

    Returns:
        Exit status for the process.
    """
    prepare_process(settings)
    is_lost = False

    def end_soon() -> None:
        nonlocal is_lost
        is_lost = True
        _end_for_certain()
        asyncio.get_running_loop().call_later(LAST_ANSWERS_S, lambda: setattr(server, "should_exit", True))

    app = create_app(settings, build=build, on_loss=end_soon, tallies=tallies)
    server = (make_server or Server)(configuration(app, settings), app, settings)
    with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn once it has ended well
        server.run()
    if is_lost:
        _log.error("ended: only a restart helps; the lines above say why", status=EXIT_DEVICE_LOST)
    return EXIT_DEVICE_LOST if is_lost or not server.started else 0


def _end_for_certain() -> None:
    """Ends the process even when its orderly end is held up, such as by a thread inside a driver."""
    timer = threading.Timer(END_WITHIN_S, os._exit, [EXIT_DEVICE_LOST])
    timer.daemon = True
    timer.start()


class Server(uvicorn.Server):
    """Goes on for a while after the signal, red for a balancer's checks: closing at once would cut off newcomers.

    Args:
        config: Of uvicorn.
        app: The application.
        settings: What the operator decided.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, settings: Settings) -> None:
        super().__init__(config)
        self._runtime: Runtime = app.state.runtime
        self._drain_delay_s = settings.drain_delay_s
        self._is_waiting = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Takes a signal."""
        if self._is_waiting:  # a second signal is for whoever does not want to wait
            self._is_waiting = False
        else:
            super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        """Waits for the end, and announces it."""
        await super().main_loop()
        until = time.monotonic() + self._drain_delay_s
        self._runtime.announce_end()
        self._is_waiting = self._runtime.phase == "leaving"
        while self._is_waiting and time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
        self._is_waiting = False

"""Runs the application with uvicorn: one process, one worker, one device."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
import time
import warnings
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from lerenet.api.app import create_app
from lerenet.api.connection import KEEP_ALIVE_S, BoundedHead
from lerenet.observability import configure_logs
from lerenet.runtime import Runtime
from lerenet.runtime.host_memory import keep_freed_memory
from lerenet.settings import Settings, unknown_variables

EXIT_DEVICE_LOST = 70
"""Exit status when only a restart helps (EX_SOFTWARE of sysexits.h)."""

LAST_ANSWERS_S = 2.0
"""Between the loss of the device and the end: time for waiting callers and probes to hear of it, in seconds."""

END_WITHIN_S = 15.0
"""After the loss of the device the process is gone by then, in seconds, whatever a hanging driver holds."""

LOOK_S = 0.1
"""Between two looks for a second signal, in seconds."""

_log = structlog.get_logger(__name__)


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT, or until only a restart helps.

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

    app = create_app(settings, on_loss=end_soon)
    server = _Server(_configuration(app, settings), app.state.runtime)
    with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn once it has ended well
        server.run()
    if is_lost:
        _log.error("ended: only a restart helps; the lines above say why", status=EXIT_DEVICE_LOST)
    return EXIT_DEVICE_LOST if is_lost or not server.started else 0


def prepare_process(settings: Settings) -> None:
    """Sets what holds for a whole process: its memory, its logs, its warnings."""
    keep_freed_memory()
    configure_logs(settings.log_level, settings.log_format)
    # Pillow warns of damaged files in words of their own, and Python would keep each of them to say it only once
    warnings.filterwarnings("ignore", module=r"PIL\b")
    for name in unknown_variables():
        _log.warning("unknown setting, ignored", variable=name)


def _end_for_certain() -> None:
    """Ends the process even when its orderly end is held up, such as by a thread inside a driver."""
    timer = threading.Timer(END_WITHIN_S, os._exit, [EXIT_DEVICE_LOST])
    timer.daemon = True
    timer.start()


class _Server(uvicorn.Server):
    """Goes on for a while after the signal, red for a balancer's checks: closing at once would cut off newcomers."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime
        self._is_waiting = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._is_waiting:  # a second signal is for whoever does not want to wait
            self._is_waiting = False
        else:
            super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        await super().main_loop()
        until = time.monotonic() + self._runtime.settings.drain_delay_s
        self._runtime.announce_end()
        self._is_waiting = self._runtime.phase == "leaving"
        while self._is_waiting and time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
        self._is_waiting = False


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        server_header=False,
        access_log=False,  # the envelope writes one line per request, with its id
        log_config=None,
        lifespan="on",
        ws="none",
        http=BoundedHead,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_s),
    )

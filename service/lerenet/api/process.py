"""What holds for every process that speaks HTTP, with the device in it or without."""

from __future__ import annotations

import math
import warnings

import structlog
import uvicorn
from starlette.types import ASGIApp

from lerenet.api.connection import KEEP_ALIVE_S, BoundedHead
from lerenet.observability import configure_logs
from lerenet.runtime.host_memory import keep_freed_memory
from lerenet.settings import Settings, unknown_variables

_log = structlog.get_logger(__name__)


def prepare_process(settings: Settings) -> None:
    """Sets what holds for a whole process: its memory, its logs, its warnings."""
    keep_freed_memory()
    configure_logs(settings.log_level, settings.log_format)
    # Pillow warns of damaged files in words of their own, and Python would keep each of them to say it only once
    warnings.filterwarnings("ignore", module=r"PIL\b")
    for name in unknown_variables():
        _log.warning("unknown setting, ignored", variable=name)


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn speaks HTTP for an application."""
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

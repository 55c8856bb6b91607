"""Logs of the service and of the libraries under it, one event a line, as JSON or as text."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

_QUIET = {"python_multipart": logging.ERROR, "uvicorn.access": logging.WARNING}
"""Libraries that log what callers send, or what our own access line already says."""

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure_logs(level: str = "info", form: Literal["json", "text"] = "json") -> None:
    """Sends every log line to standard error, each with the request it belongs to.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: One JSON object a line, or text for people.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(_formatter(form))
    root = logging.getLogger()
    root.handlers = [stream]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)


def _formatter(form: Literal["json", "text"]) -> structlog.stdlib.ProcessorFormatter:
    rendered: list[Processor]
    if form == "json":
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        rendered = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                repr_native_str=True,  # a path that a caller sent may hold line breaks
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
    )

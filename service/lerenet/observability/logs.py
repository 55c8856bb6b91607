"""Logs of the service and of the libraries under it, one event a line, as JSON or as text."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

_QUIET = {"python_multipart": logging.ERROR, "uvicorn.access": logging.WARNING}
"""Libraries that log what callers send, or what our own access line already says."""

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


_JSON = json.JSONEncoder(default=repr)
"""Built once: `json.dumps` with a default of its own would build one for every line."""


def configure_logs(level: str = "info", form: Literal["json", "text"] = "json") -> None:
    """Sends every log line to standard error, each with the request it belongs to.

    Our own lines go there straight: through the logging of the standard library a line costs nearly four times as much.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: One JSON object a line, or text for people.
    """
    rendered = _rendered(form)
    structlog.configure(
        processors=[*_SHARED, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=StandardErrorLines,
        cache_logger_on_first_use=False,  # it would save 2 us, and loggers of modules outlive a configuration
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers = [stream]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)


class StandardErrorLines:
    """Writes rendered lines to standard error; one that cannot be written is lost, and nothing else with it.

    Args:
        name: Of the logger, for the lines.
    """

    def __init__(self, name: str = "lerenet") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Writes one line, whole: threads may log side by side."""
        with contextlib.suppress(OSError, ValueError):  # a full disk or a closed pipe must not fail a request
            sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = msg


def _rendered(form: Literal["json", "text"]) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_as_json)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            repr_native_str=True,  # a path that a caller sent may hold line breaks
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _as_json(event: dict[str, Any], **_: object) -> str:
    return _JSON.encode(event)

"""One id per request, in every log line, answer and problem."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from lerenet.observability.tracing import trace_fields

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")

_current: ContextVar[str | None] = ContextVar("lerenet_request_id", default=None)


def accepted_request_id(sent: str | None) -> str:
    """The id a caller sent if it is safe to log and echo (1 to 128 plain characters), else a new one."""
    if sent is not None and _SANE.fullmatch(sent):
        return sent
    return uuid.uuid4().hex


def current_request_id() -> str | None:
    """Id of the request this task works for; None outside of requests."""
    return _current.get()


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Names the request, and its trace if it has one, for everything below, log lines included."""
    token = _current.set(request_id)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id, **trace_fields()):
            yield
    finally:
        _current.reset(token)

"""Who asks: the API key that the current request came with, by what may be shown of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: Prefix of the key; `anonymous` where none is asked for.
        max_classes: How many classes of theirs may exist at a time; None for any number.
    """

    name: str
    max_classes: int | None = None


ANONYMOUS = Caller("anonymous")

_current: ContextVar[Caller] = ContextVar("lerenet_caller", default=ANONYMOUS)


def current_caller() -> Caller:
    """Who the current request is from."""
    return _current.get()


@contextmanager
def called_by(caller: Caller) -> Iterator[None]:
    """Makes everything below work for a caller."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)

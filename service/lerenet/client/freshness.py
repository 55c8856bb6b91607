"""Reading one's own writes, whichever replica answers: what one answer has shown, the next request asks for."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TypeVar

import httpx

from lerenet.client.problems import ServiceProblem
from lerenet.client.steps import Answered, Outcome, Steps, advance
from lerenet.errors import RegistryBehind, ServiceError

Answer = TypeVar("Answer")

SEEN = "X-Registry-Revision"
WANTED = "X-Min-Revision"
_MAX_DIGITS = 18


class SeenRevision:
    """The highest revision of the registry that any answer has shown. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._highest: int | None = None

    @property
    def highest(self) -> int | None:
        """The number; None before the first."""
        return self._highest

    def note(self, response: httpx.Response) -> None:
        """Take in what an answer shows; one without a number, or with something else, shows nothing."""
        shown = response.headers.get(SEEN, "")
        if shown.isdecimal() and len(shown) <= _MAX_DIGITS:
            with self._lock:
                self._highest = max(int(shown), self._highest or 0)

    def forget(self, refused: int | None) -> None:
        """Start anew, unless a higher number than the refused one has been shown meanwhile."""
        with self._lock:
            if refused is not None and self._highest is not None and self._highest <= refused:
                self._highest = None


def reading_own_writes(steps: Steps[Answer], seen: SeenRevision) -> Steps[Answer]:
    """The same conversation, in which every request asks for what has been seen before.

    Where the registry does not come up to that however often it is asked, as one restored from a backup never will, the
    problem is raised once and the number is forgotten: the caller hears of it, and the next call goes through.

    Args:
        steps: The conversation.
        seen: Shared by all conversations of a client.

    Raises:
        ServiceProblem: As the conversation does.
        ServiceError: As the conversation does.
    """
    outcome: Outcome | None = None
    wanted: int | None = None
    while True:
        try:
            step = advance(steps, outcome)
        except ServiceProblem as problem:
            if problem.code == RegistryBehind.code:
                seen.forget(wanted)
            raise
        if isinstance(step, Answered):
            return step.answer
        wanted = seen.highest
        headers = step.headers if wanted is None else {**(step.headers or {}), WANTED: str(wanted)}
        try:
            outcome = yield replace(step, headers=headers)
        except ServiceError as err:
            outcome = err
        else:
            seen.note(outcome)

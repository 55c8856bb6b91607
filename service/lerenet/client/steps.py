"""Conversations with the service, apart from how bytes travel: generators that yield requests and take responses.

`run` of a connection drives them, one for blocking callers and one for asyncio. Source: the form of
`httpx.Auth.auth_flow`; ours also says how long to wait before a request, hears of failures, and ends in an answer.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

import httpx

from lerenet.client.problems import ServiceProblem, problem_in
from lerenet.client.uploads import Part
from lerenet.errors import ServiceError

MAX_RETRIES = 5
LONGEST_WAIT_S = 60.0

Answer = TypeVar("Answer")
Patience = Literal["probe", "usual", "registration"]

_BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Request:
    """What is sent.

    Attributes:
        method: Of HTTP.
        path: Below the base URL.
        files: Parts of a multipart body.
        data: Its other fields.
        params: Of the query.
        patience: Which of the client's timeouts holds.
        headers: Beside those of every request.
        after_s: Wait before it is sent, in seconds.
    """

    method: str
    path: str
    files: Sequence[Part] | None = None
    data: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None
    patience: Patience = "usual"
    headers: Mapping[str, str] | None = None
    after_s: float = 0.0


Outcome = httpx.Response | ServiceError
"""What a request came to: a response of any status, or that there was none."""

Steps = Generator[Request, httpx.Response, Answer]


@dataclass(frozen=True)
class Answered(Generic[Answer]):
    """The end of a conversation."""

    answer: Answer


@dataclass(frozen=True)
class Timeouts:
    """Longest silences, in seconds."""

    usual: float
    registration: float
    probe: float = field(default=5.0)

    def of(self, request: Request) -> float:
        """The one that holds for a request."""
        return {"probe": min(self.probe, self.usual), "usual": self.usual, "registration": self.registration}[
            request.patience
        ]


def asked(request: Request, max_retries: int = MAX_RETRIES) -> Steps[httpx.Response]:
    """Sends a request; again when the service is busy and says for how long.

    Args:
        request: Of any kind.
        max_retries: After a 429 or 503 with `Retry-After` of at most `LONGEST_WAIT_S` seconds.

    Raises:
        ServiceProblem: The service refused or failed.
    """
    for n_retries_left in range(max_retries, -1, -1):
        response = yield request
        if response.is_success:
            return response
        problem = problem_in(response)
        if not n_retries_left or not _is_passing(problem):
            break
        request = replace(request, after_s=problem.retry_after_s or 0.0)
    raise problem


def advance(steps: Steps[Answer], outcome: Outcome | None) -> Request | Answered[Answer]:
    """The next request of a conversation, or its answer.

    Args:
        steps: The conversation.
        outcome: Of its last request; None before the first.

    Raises:
        ServiceError: The conversation makes nothing of the failure.
    """
    try:
        if isinstance(outcome, ServiceError):
            return steps.throw(outcome)
        return next(steps) if outcome is None else steps.send(outcome)
    except StopIteration as end:
        return Answered(end.value)


def _is_passing(problem: ServiceProblem) -> bool:
    wait_s = problem.retry_after_s
    return problem.status in _BUSY and wait_s is not None and wait_s <= LONGEST_WAIT_S

"""Problem bodies of the service (RFC 9457) as errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from lerenet.errors import ServiceError

if TYPE_CHECKING:
    import httpx

_N_CHARACTERS_QUOTED = 200


@dataclass(frozen=True)
class ProblemPart:
    """One fault in a request.

    Attributes:
        pointer: Where, as a JSON pointer: `/images/3` is the fourth image.
        detail: What is wrong there.
    """

    pointer: str
    detail: str


class ServiceProblem(ServiceError):
    """The service refused or failed; `detail` holds its own words.

    Attributes:
        status: HTTP status.
        code: The service's stable word for what happened, such as `unknown_class`; `not_a_problem` when the answer came
            from something else, such as a proxy.
        title: What such a code means; empty when unknown.
        request_id: Under which the service's log has it; None when unknown.
        parts: Places in the request.
        retry_after_s: Forecast, in seconds, of when to ask again; None when nothing was said.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str,
        title: str = "",
        request_id: str | None = None,
        parts: tuple[ProblemPart, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, pointer=parts[0].pointer if parts else None)
        self.status = status
        self.code = code
        self.title = title
        self.request_id = request_id
        self.parts = parts
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.detail} ({self.status} {self.code})"


@dataclass(frozen=True)
class _Body:
    detail: str
    code: str
    title: str = ""
    request_id: str | None = None
    errors: tuple[ProblemPart, ...] = ()


_BODY = TypeAdapter(_Body)


def problem_in(response: httpx.Response) -> ServiceProblem:
    """The problem that an answer with an error status holds.

    Args:
        response: Read; of any status, also one that a proxy made.
    """
    retry_after_s = _retry_after_s(response)
    try:
        body = _BODY.validate_json(response.content)
    except ValidationError:
        return ServiceProblem(
            _foreign(response), status=response.status_code, code="not_a_problem", retry_after_s=retry_after_s
        )
    return ServiceProblem(
        body.detail,
        status=response.status_code,
        code=body.code,
        title=body.title,
        request_id=body.request_id,
        parts=body.errors,
        retry_after_s=retry_after_s,
    )


def _foreign(response: httpx.Response) -> str:
    quoted = " ".join(response.text.split())[:_N_CHARACTERS_QUOTED]
    return f"{response.url} does not answer like a LERENet service: {quoted or 'an empty body'}"


def _retry_after_s(response: httpx.Response) -> float | None:
    stated = response.headers.get("retry-after", "")
    return float(stated) if stated.isdecimal() else None

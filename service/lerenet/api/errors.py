"""The one map from errors to HTTP: statuses, and problem bodies by RFC 9457."""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from lerenet import errors
from lerenet.api.bodies import Problem, ProblemPart
from lerenet.errors import LERENetError, MalformedRequest, RequestError, ServiceError, Unavailable
from lerenet.observability import current_request_id

PROBLEM_TYPE = "application/problem+json"

_log = structlog.get_logger(__name__)


class UnreadableBody(MalformedRequest):
    """Multipart or JSON that cannot be parsed, as against a value outside its range."""


STATUSES: dict[type[LERENetError], int] = {
    LERENetError: 500,
    errors.RequestError: 400,
    errors.MalformedRequest: 422,
    UnreadableBody: 400,
    errors.BodyTooLarge: 413,
    errors.UnsupportedImage: 415,
    errors.ImageTooLarge: 413,
    errors.UndecodableImage: 422,
    errors.InvalidMask: 422,
    errors.InvalidSupport: 422,
    errors.LimitExceeded: 422,
    errors.NotAcceptable: 406,
    errors.UnknownClass: 404,
    errors.ClassExists: 409,
    errors.NoSupportClasses: 409,
    errors.PreconditionFailed: 412,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.QuotaExceeded: 403,
    errors.RateExceeded: 429,
    errors.Unavailable: 503,
    errors.QueueFull: 503,
    errors.Loading: 503,
    errors.Draining: 503,
    errors.RegistryBehind: 503,
    errors.DeadlineExceeded: 504,
    errors.DeviceFailed: 503,
    errors.RegistryError: 500,
    errors.StorageFull: 507,
    errors.RegistryReadOnly: 503,
    errors.RegistryUnreachable: 503,
    errors.IndexDamaged: 500,
    errors.ClassDamaged: 503,
    errors.WeightsError: 500,
    errors.DatasetError: 500,
    errors.ServiceError: 502,
    errors.ConfigurationError: 500,
}
"""Status of every error of the tree."""

TOLD = (
    RequestError,
    ServiceError,
    Unavailable,
    errors.StorageFull,
    errors.RegistryReadOnly,
    errors.RegistryUnreachable,
    errors.ClassDamaged,
)
"""Errors whose detail says nothing of this host, so that callers may read it."""

INTERNAL_ERROR = "internal_error"
INTERNAL_DETAIL = "Something failed inside the service. Its log has the cause under this request id."

HTTP_CODES = {
    400: MalformedRequest.code,
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported_media_type",
}
"""Codes of refusals by the framework: no such route, method or media type, or a body it cannot parse."""


def problem_codes() -> set[str]:
    """Codes that a problem may have."""
    return {error.code for error in STATUSES} | set(HTTP_CODES.values()) | {INTERNAL_ERROR}


def status_of(error: LERENetError) -> int:
    """HTTP status of an error."""
    return STATUSES[type(error)]


def problem_of(error: LERENetError, *, status: int | None = None, headers: dict[str, str] | None = None) -> Response:
    """An error as an answer. What is the operator's to mend is logged, and told without details of this host."""
    status = status_of(error) if status is None else status
    is_for_caller = isinstance(error, TOLD)
    if not is_for_caller or isinstance(error, errors.RegistryError):
        _log.error("request failed", code=error.code, reason=error.detail, exc_info=error)
    detail = error.detail if is_for_caller else f"{summary_of(type(error))} {INTERNAL_DETAIL}"
    parts = [ProblemPart(pointer=error.pointer, detail=detail)] if error.pointer else []
    retry_after_s = error.retry_after_s if isinstance(error, Unavailable | errors.RegistryUnreachable) else None
    title = title_of(type(error))
    return problem(status, error.code, detail, title=title, parts=parts, retry_after_s=retry_after_s, headers=headers)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    title: str | None = None,
    parts: Sequence[ProblemPart] = (),
    retry_after_s: float | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem body.

    Args:
        status: HTTP status.
        code: Stable word for programs.
        detail: What happened in this case, and what to do.
        title: What happens in every such case; by default the status's own phrase.
        parts: Places in the request.
        retry_after_s: Forecast, in seconds; sent as whole seconds in `Retry-After`.
        headers: Further headers.
    """
    request_id = current_request_id()
    body = Problem(
        type=f"/problems/{code.replace('_', '-')}",
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=encodable(detail),
        instance=f"urn:request:{request_id}",
        code=code,
        request_id=request_id,
        errors=[ProblemPart(pointer=encodable(part.pointer), detail=encodable(part.detail)) for part in parts],
    )
    wait = {} if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    return Response(body.model_dump_json(), status, {**(headers or {}), **wait, CODE_HEADER: code}, PROBLEM_TYPE)


def encodable(text: str) -> str:
    """A caller's text fit for UTF-8: JSON and some charsets can spell lone surrogates."""
    return text.encode(errors="replace").decode()


CODE_HEADER = "X-Problem-Code"
"""How the code reaches the envelope, which counts it and takes the header off."""


def title_of(error: type[LERENetError]) -> str:
    """What an error means, from its one description: the first line of its docstring, without the full stop."""
    return summary_of(error).rstrip(".")


def summary_of(error: type[LERENetError]) -> str:
    """The first line of an error's docstring."""
    return (error.__doc__ or error.code).strip().splitlines()[0]


def install_error_answers(app: FastAPI) -> None:
    """Makes every refusal of this application a problem body."""
    app.add_exception_handler(LERENetError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LERENetError)
    return problem_of(error)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    parts = [ProblemPart(pointer=_pointer(fault["loc"]), detail=_sentence(fault)) for fault in error.errors()]
    detail = "; ".join(f"{part.pointer.removeprefix('/')}: {part.detail}" for part in parts)
    return problem(
        STATUSES[MalformedRequest], MalformedRequest.code, detail, title=title_of(MalformedRequest), parts=parts
    )


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "http_error")
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"no route {request.url.path}: /docs lists what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request))
        detail = f"{request.method} is not for {request.url.path}; it takes {headers['Allow']}"
    return problem(error.status_code, code, detail, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """Methods of every route at the path; the framework names those of the first alone."""
    routes = [each.original_route for each in iter_route_contexts(request.app.routes)]
    at_path = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in at_path for method in getattr(route, "methods", None) or ()})


def _pointer(location: Sequence[int | str]) -> str:
    """JSON pointer of a fault; the first word says whether it lies in path, query or body."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location[1:]) or "/"


def _sentence(fault: dict[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return "there is no such parameter"
    sent = fault.get("input")
    shown = f" (sent: {sent!r:.80})" if isinstance(sent, str | int | float) else ""
    return f"{fault['msg']}{shown}"

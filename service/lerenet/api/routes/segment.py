"""`/segment`: images in, masks out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from lerenet import errors
from lerenet.api.dependencies import MIN_REVISION, AtLeast, ReadyFrontDep
from lerenet.api.disconnection import unless_gone
from lerenet.api.documents import (
    BODIES,
    IMAGES,
    RESULT_EXAMPLE,
    form_body,
    json_answer,
    png_answer,
    problems,
    request_body,
)
from lerenet.api.forms import MULTIPART, UploadedFile, media_type_of, read_form, read_raw, unsupported
from lerenet.api.negotiation import JSON, PNG, preferred_type
from lerenet.api.parameters import SegmentParameters, query_values
from lerenet.api.rendering import PngCanvas, class_result
from lerenet.api.schemas import FrameResult, SegmentBody
from lerenet.errors import LimitExceeded, MalformedRequest, NotAcceptable
from lerenet.observability import current_request_id
from lerenet.runtime import Work
from lerenet.runtime.front import RuntimeFront

MAX_REVISION_DIGITS = 18


class StraightRoute(APIRoute):
    """A route whose ordinary requests spare the framework its work: solving dependencies costs more than the rest.

    Whatever is not in order goes the framework's way, which knows what to say of it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        solve = super().get_route_handler()

        async def answer(request: Request) -> Response:
            revision = request.headers.get(MIN_REVISION, "0")
            if not revision.isdecimal() or len(revision) > MAX_REVISION_DIGITS:
                return await solve(request)
            try:
                query = SegmentParameters.model_validate(query_values(SegmentParameters, request.query_params))
            except ValidationError:
                return await solve(request)
            runtime: RuntimeFront = request.app.state.runtime
            runtime.require_ready()
            if revision != "0":
                await runtime.catch_up(int(revision))
            return await segment(request, runtime, query)

        return answer


router = APIRouter(tags=["segment"], dependencies=[AtLeast], route_class=StraightRoute)

ANSWER = json_answer("What was found", RESULT_EXAMPLE, ("X-Classes", "X-Revisions", "X-Scores"))
ANSWER["content"][PNG] = png_answer()
PROBLEMS = problems(
    *BODIES,
    *IMAGES,
    errors.NotAcceptable,
    errors.UnknownClass,
    errors.NoSupportClasses,
    errors.ClassDamaged,
    errors.DeadlineExceeded,
)
BODY = request_body(
    multipart=form_body(SegmentParameters, {"images": True}),
    image={"schema": {"type": "string", "format": "binary"}},
)


@dataclass(frozen=True)
class _Asked:
    files: Sequence[UploadedFile]
    parameters: SegmentParameters

    @property
    def data(self) -> list[bytes]:
        return [file.data for file in self.files]


@router.post(
    "/segment",
    operation_id="segment",
    summary="Find registered defects in images",
    response_model=SegmentBody,
    openapi_extra=BODY,
    responses={**PROBLEMS, 200: ANSWER},
)
async def segment(request: Request, runtime: ReadyFrontDep, query: Annotated[SegmentParameters, Query()]) -> Response:
    """Multipart `images`, or one image as the body itself. All images are answered, or none.

    `Accept: image/png` gives a PNG for one image: 1-bit for one class, a palette for several.
    """
    async with runtime.work(runtime.settings.deadline_s) as work:
        asked = await _asked(request, query, runtime.settings.max_images)
        request.state.metadata = asked.parameters.inspection()
        answer = _as_png if _wanted(request, asked) == PNG else _as_json
        return await answer(request, runtime, work, asked)


async def _asked(request: Request, query: SegmentParameters, max_images: int) -> _Asked:
    media_type = media_type_of(request)
    if media_type.startswith("image/"):
        return _Asked([UploadedFile(None, await read_raw(request))], query)
    if media_type != MULTIPART:
        raise unsupported(request, MULTIPART, "image/*")
    form = await read_form(request, ("images",), SegmentParameters)
    files = form.files["images"]
    if not files:
        raise MalformedRequest("no images: send at least one under `images`", pointer="/images")
    if len(files) > max_images:
        detail = f"{len(files)} images: a request has at most {max_images}; send them in several"
        raise LimitExceeded(detail, pointer="/images")
    return _Asked(files, _merged(query, form.parameters))


def _merged(query: SegmentParameters, form: SegmentParameters) -> SegmentParameters:
    twice = sorted(query.model_fields_set & form.model_fields_set)
    if twice:
        raise MalformedRequest(f"{', '.join(twice)}: given in the query and in the form", pointer=f"/{twice[0]}")
    return query.model_copy(update=form.model_dump(exclude_unset=True))


def _wanted(request: Request, asked: _Asked) -> str:
    """The media type of the answer; refuses what no body can be."""
    parameters = asked.parameters
    can_be_png = len(asked.files) == 1 and (
        "format" not in parameters.model_fields_set or parameters.format in ("png", "probability")
    )
    wanted = preferred_type(request.headers.get("accept"), (JSON, PNG) if can_be_png else (JSON,))
    if wanted is None:
        detail = (
            f"Accept asks for none of the bodies there are: {JSON}, and for one image with `format` png, probability or"
            f" absent {PNG}"
        )
        raise NotAcceptable(detail)
    return wanted


async def _as_json(request: Request, runtime: RuntimeFront, work: Work, asked: _Asked) -> Response:
    render = partial(class_result, form=asked.parameters.format)
    frames = await unless_gone(request, runtime.segment(work, asked.data, asked.parameters.query(), render))
    results = [
        FrameResult(
            index=i, filename=file.filename, height=frame.height, width=frame.width, classes=list(frame.classes)
        )
        for i, (file, frame) in enumerate(zip(asked.files, frames, strict=True))
    ]
    body = SegmentBody(
        request_id=current_request_id(),
        weights=runtime.weights_digest,
        metadata=request.state.metadata,
        results=results,
    )
    return Response(body.model_dump_json(), headers={"Vary": "Accept"}, media_type=JSON)


async def _as_png(request: Request, runtime: RuntimeFront, work: Work, asked: _Asked) -> Response:
    canvas = PngCanvas(is_probability=asked.parameters.format == "probability")
    [frame] = await unless_gone(request, runtime.segment(work, asked.data, asked.parameters.query(), canvas.paint))
    headers = {
        "X-Classes": _listed([found.name for found in frame.classes]),
        "X-Revisions": _listed([found.revision for found in frame.classes]),
        "X-Scores": _listed([found.score for found in frame.classes]),
        "Vary": "Accept",
    }
    return Response(await asyncio.to_thread(canvas.png), headers=headers, media_type=PNG)


def _listed(values: Sequence[object]) -> str:
    return ",".join(map(str, values))


(ROUTE,) = (route for route in router.routes if isinstance(route, APIRoute))
"""The one route there is."""

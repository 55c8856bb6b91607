"""`/support`: register, replace, extend, tune, look at and forget support classes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from lerenet import errors
from lerenet.api.core_dependencies import ReadyRuntimeDep
from lerenet.api.dependencies import AtLeast, IfMatch, IfNoneMatch, NoQuery
from lerenet.api.documents import (
    BODIES,
    CLASS_EXAMPLE,
    IMAGES,
    WRITES,
    form_body,
    json_answer,
    json_body,
    problems,
    request_body,
)
from lerenet.api.forms import read_json
from lerenet.api.negotiation import is_known
from lerenet.api.parameters import (
    ClassParameters,
    CreationParameters,
    PageParameters,
    ReplacementParameters,
    ShotParameters,
)
from lerenet.api.registration import read_registration, require_any, support_files
from lerenet.api.schemas import ClassList, SupportClassBody
from lerenet.imaging import image_type
from lerenet.support import Change, RegisteredClass

router = APIRouter(tags=["support"], dependencies=[AtLeast])

Name = Annotated[str, Path(description="Name of the class", examples=["scratches"])]
Reference = Annotated[str, Path(description="`name`, or `name@revision` for one of the last 20 revisions")]
Index = Annotated[int, Path(ge=0, description="Position of the shot in the class")]

PAIR_FILES = {"images": True, "masks": False, "normals": False}
UPLOADS = (*BODIES, *IMAGES, errors.InvalidMask, errors.InvalidSupport, *WRITES)
ANSWER = json_answer("The class as it stands, ready to use", CLASS_EXAMPLE, ("ETag",))
CREATED = json_answer("The class is registered and ready to use", CLASS_EXAMPLE, ("ETag", "Location"))


@router.post(
    "/support",
    operation_id="create_support_class",
    summary="Register a support class",
    status_code=201,
    response_model=SupportClassBody,
    dependencies=[NoQuery],
    openapi_extra=request_body(multipart=form_body(CreationParameters, PAIR_FILES)),
    responses={**problems(*UPLOADS, errors.ClassExists, errors.QuotaExceeded), 200: ANSWER, 201: CREATED},
)
async def create_support_class(request: Request, response: Response, runtime: ReadyRuntimeDep) -> SupportClassBody:
    """From 1 to 10 marked images of a defect. The same content again changes nothing; other content is refused."""
    async with runtime.work(runtime.settings.registration_deadline_s) as work:
        form = await read_registration(request, CreationParameters)
        shots, normals = await runtime.read_support(work, support_files(form, runtime.settings))
        parameters = form.parameters
        change = await runtime.registry.create(parameters.name, shots, normals, parameters.mentioned())
    return _changed(request, response, change)


@router.put(
    "/support/{name}",
    operation_id="put_support_class",
    summary="Create or replace a support class",
    response_model=SupportClassBody,
    dependencies=[NoQuery],
    openapi_extra=request_body(multipart=form_body(ReplacementParameters, PAIR_FILES)),
    responses={**problems(*UPLOADS, errors.QuotaExceeded), 200: ANSWER, 201: CREATED},
)
async def put_support_class(
    request: Request,
    response: Response,
    runtime: ReadyRuntimeDep,
    name: Name,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
) -> SupportClassBody:
    """The class whole: parameters that are not sent return to their defaults."""
    async with runtime.work(runtime.settings.registration_deadline_s) as work:
        form = await read_registration(request, ReplacementParameters)
        shots, normals = await runtime.read_support(work, support_files(form, runtime.settings))
        change = await runtime.registry.put(
            name, shots, normals, form.parameters.complete(), if_match=if_match, if_none_match=if_none_match
        )
    return _changed(request, response, change)


@router.post(
    "/support/{name}/shots",
    operation_id="append_shots",
    summary="Add marked or defect-free images",
    response_model=SupportClassBody,
    dependencies=[NoQuery],
    openapi_extra=request_body(multipart=form_body(ShotParameters, dict.fromkeys(PAIR_FILES, False))),
    responses={**problems(*UPLOADS, errors.UnknownClass), 200: ANSWER},
)
async def append_shots(
    request: Request, response: Response, runtime: ReadyRuntimeDep, name: Name, if_match: IfMatch
) -> SupportClassBody:
    """Pairs that the class has already are passed over, so a request may be sent again."""
    async with runtime.work(runtime.settings.registration_deadline_s) as work:
        form = await read_registration(request, ShotParameters)
        files = require_any(support_files(form, runtime.settings))
        shots, normals = await runtime.read_support(work, files)
        change = await runtime.registry.append(name, shots, normals, if_match=if_match)
    return _shown(response, change.registered)


@router.delete(
    "/support/{name}/shots/{index}",
    operation_id="drop_shot",
    summary="Remove one marked image",
    response_model=SupportClassBody,
    dependencies=[NoQuery],
    responses={**problems(errors.UnknownClass, errors.InvalidSupport, *WRITES), 200: ANSWER},
)
async def drop_shot(
    response: Response, runtime: ReadyRuntimeDep, name: Name, index: Index, if_match: IfMatch
) -> SupportClassBody:
    """Those behind it move up. The last one stays: delete the class instead."""
    async with runtime.work(runtime.settings.registration_deadline_s):
        change = await runtime.registry.drop_shot(name, index, if_match=if_match)
    return _shown(response, change.registered)


@router.patch(
    "/support/{name}",
    operation_id="patch_support_class",
    summary="Set threshold, least area, least score or description",
    response_model=SupportClassBody,
    dependencies=[NoQuery],
    openapi_extra=request_body(json=json_body(ClassParameters, {"threshold": 0.4, "min_area_px": 12})),
    responses={**problems(errors.UnknownClass, *BODIES, *WRITES), 200: ANSWER},
)
async def patch_support_class(
    request: Request, response: Response, runtime: ReadyRuntimeDep, name: Name, if_match: IfMatch
) -> SupportClassBody:
    """Only what is sent changes; a threshold or least score of null returns to the suggested one."""
    async with runtime.work(runtime.settings.registration_deadline_s):
        parameters = await read_json(request, ClassParameters)
        change = await runtime.registry.patch(name, parameters.mentioned(), if_match=if_match)
    return _shown(response, change.registered)


@router.get(
    "/support",
    operation_id="list_support_classes",
    summary="List support classes",
    response_model=ClassList,
    responses={
        **problems(),
        200: json_answer("A page of classes", {"classes": [CLASS_EXAMPLE], "next": None}),
    },
)
async def list_support_classes(runtime: ReadyRuntimeDep, page: Annotated[PageParameters, Query()]) -> ClassList:
    """In order of name. After new weights, a class has its own threshold only once it is prepared for them."""
    found = await runtime.registry.list(page.cursor, page.limit)
    return ClassList(classes=[SupportClassBody.of(each) for each in found.classes], next=found.next)


@router.get(
    "/support/{name}",
    operation_id="get_support_class",
    summary="Look at a support class",
    response_model=SupportClassBody,
    dependencies=[NoQuery],
    responses={**problems(errors.UnknownClass), 200: ANSWER, 304: {"description": "The caller has this revision"}},
)
async def get_support_class(
    response: Response,
    runtime: ReadyRuntimeDep,
    name: Reference,
    if_none_match: Annotated[str | None, Header()] = None,
) -> SupportClassBody | Response:
    """Its shots, threshold in force and quality."""
    async with runtime.work(runtime.settings.registration_deadline_s):
        registered = await runtime.registry.get(name)
    if is_known(if_none_match, registered.record.revision):
        return Response(status_code=304, headers={"ETag": f'"{registered.record.revision}"'})
    return _shown(response, registered)


@router.delete(
    "/support/{name}",
    operation_id="delete_support_class",
    summary="Forget a support class",
    status_code=204,
    dependencies=[NoQuery],
    responses=problems(errors.UnknownClass, *WRITES),
)
async def delete_support_class(runtime: ReadyRuntimeDep, name: Name, if_match: IfMatch) -> None:
    """With all its revisions, and the images that no other class uses."""
    async with runtime.work(runtime.settings.registration_deadline_s):
        await runtime.registry.delete(name, if_match=if_match)


IMAGE_ANSWER = {
    "description": "The image file as it was uploaded",
    "content": {media_type: {} for media_type in ("image/png", "image/jpeg", "image/bmp", "image/tiff")},
}


@router.get(
    "/support/{name}/shots/{index}/image",
    operation_id="get_shot_image",
    summary="Image of a shot",
    response_class=Response,
    dependencies=[NoQuery],
    responses={**problems(errors.UnknownClass), 200: IMAGE_ANSWER},
)
async def get_shot_image(runtime: ReadyRuntimeDep, name: Reference, index: Index) -> Response:
    """The file as it was uploaded."""
    file = await runtime.registry.shot_image(name, index)
    return Response(file.data, headers={"X-Revision": file.revision}, media_type=f"image/{image_type(file.data)}")


@router.get(
    "/support/{name}/shots/{index}/mask",
    operation_id="get_shot_mask",
    summary="Mask of a shot",
    response_class=Response,
    dependencies=[NoQuery],
    responses={
        **problems(errors.UnknownClass),
        200: {"description": "1-bit PNG, white where the defect is", "content": {"image/png": {}}},
    },
)
async def get_shot_mask(runtime: ReadyRuntimeDep, name: Reference, index: Index) -> Response:
    """As it is used, whatever form it was sent in."""
    file = await runtime.registry.shot_mask(name, index)
    return Response(file.data, headers={"X-Revision": file.revision}, media_type="image/png")


def _changed(request: Request, response: Response, change: Change) -> SupportClassBody:
    response.status_code = 201 if change.is_created else 200
    if change.is_created:
        name = change.registered.record.name
        response.headers["Location"] = request.url_for("get_support_class", name=name).path
    return _shown(response, change.registered)


def _shown(response: Response, registered: RegisteredClass) -> SupportClassBody:
    response.headers["ETag"] = f'"{registered.record.revision}"'
    return SupportClassBody.of(registered)

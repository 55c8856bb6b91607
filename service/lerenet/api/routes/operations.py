"""Readiness, metrics, version and limits."""

from __future__ import annotations

from typing import Literal, get_args

from fastapi import APIRouter, Response

from lerenet import errors
from lerenet.api.core_dependencies import RuntimeDep
from lerenet.api.dependencies import KeysDep
from lerenet.api.documents import problems
from lerenet.api.errors import problem_of
from lerenet.api.masks import MaskFormat
from lerenet.api.schemas import LimitsBody, Readiness, VersionBody
from lerenet.errors import LERENetError

router = APIRouter(tags=["operations"])
metrics_router = APIRouter(tags=["operations"])

STALE_KEYS = "the key file cannot be used, see the log; its last good keys stay in force"
IMAGE_TYPES = ["image/jpeg", "image/png", "image/bmp", "image/tiff"]


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Are requests answered?",
    response_model=Readiness,
    responses=problems(errors.WeightsError),
)
async def readyz(runtime: RuntimeDep, keys: KeysDep) -> Readiness | Response:
    """Red while weights are loaded, once the service is about to stop, and once it has failed.

    Green with a registry that takes no writes: frames are segmented, which is what the line waits for.
    """
    try:
        runtime.require_staying()
        registry = runtime.registry
        unavailable = await registry.unavailable()
    except LERENetError as error:
        return problem_of(error, status=503)
    trouble = registry.write_trouble()
    kind: Literal["writable", "read_only", "full"] = "writable"
    if trouble is not None:
        kind = "full" if isinstance(trouble, errors.StorageFull) else "read_only"
    return Readiness(
        status="ready",
        registry=kind,
        unavailable=list(unavailable),
        detail="" if trouble is None else trouble.detail,
        warnings=[STALE_KEYS] if keys is not None and keys.fault else [],
    )


@metrics_router.get("/metrics", operation_id="metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(runtime: RuntimeDep) -> Response:
    """In the text format."""
    await runtime.refresh_metrics()
    return Response(runtime.metrics.exposition(), media_type=runtime.metrics.content_type)


@router.get("/version", operation_id="version", summary="What is running", response_model=VersionBody)
async def version(runtime: RuntimeDep) -> VersionBody:
    """Package, weights and device."""
    return VersionBody.model_validate(runtime.describe())


@router.get("/limits", operation_id="limits", summary="What is taken", response_model=LimitsBody)
async def limits(runtime: RuntimeDep) -> LimitsBody:
    """Sizes, counts and deadlines of requests."""
    settings = runtime.settings
    return LimitsBody(
        max_body_bytes=settings.max_body_bytes,
        max_image_pixels=settings.max_image_pixels,
        max_image_side_px=settings.max_image_side_px,
        max_images=settings.max_images,
        max_request_pixels=settings.max_held_pixels,
        max_shots=settings.max_shots,
        max_normals=settings.max_normals,
        max_classes=settings.max_classes,
        deadline_s=settings.deadline_s,
        registration_deadline_s=settings.registration_deadline_s,
        image_types=IMAGE_TYPES,
        formats=list(get_args(MaskFormat)),
    )

"""The probe that every process which speaks HTTP answers by itself."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute

from lerenet.api.dependencies import FrontDep
from lerenet.api.documents import problems
from lerenet.api.errors import problem_of
from lerenet.api.schemas import Health
from lerenet.errors import DeviceFailed

router = APIRouter(tags=["operations"])


@router.get(
    "/livez",
    operation_id="livez",
    summary="Does the process work, or would a restart help?",
    response_model=Health,
    response_model_exclude_defaults=True,
    responses=problems(),
)
async def livez(runtime: FrontDep) -> Health | Response:
    """Red once the device is lost or has stalled."""
    if not runtime.is_live:
        return problem_of(DeviceFailed("only a restart helps"), status=503)
    return Health(status="live", warnings=[])


(ROUTE,) = (route for route in router.routes if isinstance(route, APIRoute))
"""The one route there is."""

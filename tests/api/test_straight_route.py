"""The shortcut of `/segment` takes what the framework takes, and answers what the framework answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

import httpx
import pytest
from fastapi import FastAPI, Query
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from lerenet.api.app import create_app
from lerenet.api.dependencies import MIN_REVISION, AtLeast, FrontDep, ReadyFrontDep
from lerenet.api.parameters import SegmentParameters, query_values
from lerenet.api.routes import segment
from lerenet.edge.application import edge_app
from lerenet.settings import Settings

QUERIES = [
    "",
    "classes=a",
    "classes=a,b&classes=c",
    "classes=",
    "classes=a,,b",
    "threshold=0.25&threshold=0.5",
    "threshold=",
    "threshold=2",
    "threshold=nan",
    "min_area_px=7&min_score=1",
    "min_area_px=7.5",
    "min_area_px=+7",
    "roi=0,0,4,4",
    "roi=0,0,0,4",
    "format=none&format=png",
    "format=tiff",
    "bits=12",
    "bits=12.0",
    "bits=%31%32",
    "station=press+3&part=%C3%A9",
    "station=",
    "metadata=%7B%22shift%22%3A%22late%22%7D",
    "metadata=%5B%5D",
    "timestamp=2026-03-02T08:15:30Z",
    "Classes=a",
    "unknown=1",
    "unknown=1&unknown=2&classes=a",
    "classes[]=a",
    "&&classes=a&=",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_query_is_read_as_the_framework_reads_it(query: str) -> None:
    framework = FastAPI()

    @framework.get("/")
    async def asked(query: Annotated[SegmentParameters, Query()]) -> dict[str, Any]:
        return {"sent": sorted(query.model_fields_set), **query.model_dump()}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(framework), base_url="http://service") as client:
        response = await client.get(f"/?{query}")
    try:
        parameters = SegmentParameters.model_validate(query_values(SegmentParameters, QueryParams(query)))
    except ValidationError:
        assert response.status_code == 422
    else:
        assert response.json() == {"sent": sorted(parameters.model_fields_set), **parameters.model_dump()}


async def test_the_shortcut_does_whatever_the_route_depends_on(settings: Settings) -> None:
    """`StraightRoute` has to do by itself what is declared of the route, its router or the application, and no more."""
    whole = create_app(settings)
    for app in (whole, edge_app(whole.state.runtime, None)):
        [route] = [each for each in iter_route_contexts(app.routes) if each.path == segment.ROUTE.path]
        dependants = list(_all_of(route.dependant))

        done = {AtLeast.dependency, get_args(ReadyFrontDep)[1].dependency, get_args(FrontDep)[1].dependency}
        assert {each.call for each in dependants} == {segment.segment, *done}
        assert {name for each in dependants for name in _read_by(each)} == {MIN_REVISION, "query"}


def _all_of(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from _all_of(each)


def _read_by(dependant: Dependant) -> list[str]:
    """Names of what is read of a request."""
    read = (
        dependant.path_params,
        dependant.query_params,
        dependant.header_params,
        dependant.cookie_params,
        dependant.body_params,
    )
    return [field.alias for fields in read for field in fields]

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lerenet.api import create_app
from lerenet.api.bodies import Problem
from lerenet.api.documents import CLASS_EXAMPLE, RESULT_EXAMPLE
from lerenet.api.schemas import SegmentBody, SupportClassBody
from lerenet.imaging import decode_coco_rle
from lerenet.settings import Settings

ROUTES = {
    ("post", "/support"),
    ("get", "/support"),
    ("put", "/support/{name}"),
    ("get", "/support/{name}"),
    ("patch", "/support/{name}"),
    ("delete", "/support/{name}"),
    ("post", "/support/{name}/shots"),
    ("delete", "/support/{name}/shots/{index}"),
    ("get", "/support/{name}/shots/{index}/image"),
    ("get", "/support/{name}/shots/{index}/mask"),
    ("post", "/segment"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/version"),
    ("get", "/limits"),
}


@pytest.fixture
def document(settings: Settings) -> dict[str, Any]:
    return create_app(settings).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == ROUTES


def test_every_operation_has_a_unique_id_with_summary_description_tag(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for _, _, operation in operations(document):
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_refusal_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"], (path, status)
                for example in response["content"]["application/problem+json"]["examples"].values():
                    assert Problem.model_validate(example["value"]).status == int(status)


def test_segment_takes_a_form_or_a_raw_image(document: dict[str, Any]) -> None:
    operation = document["paths"]["/segment"]["post"]

    assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "image/png"}
    fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    in_query = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    how = {"classes", "threshold", "min_area_px", "min_score", "roi", "format", "bits"}
    assert in_query == how | {"station", "part", "timestamp", "metadata"}
    assert in_query == set(fields) - {"images"}


def test_registration_documents_all_its_fields(document: dict[str, Any]) -> None:
    form = document["paths"]["/support"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]

    assert set(form["required"]) == {"name", "images"}
    assert {"masks", "annotations", "normals", "bits", "threshold", "min_area_px", "min_score", "description"} <= set(
        form["properties"]
    )


def test_examples_are_what_the_service_answers() -> None:
    SupportClassBody.model_validate(CLASS_EXAMPLE)
    [found] = SegmentBody.model_validate(RESULT_EXAMPLE).results[0].classes
    assert found.mask is not None
    mask = decode_coco_rle(found.mask.model_dump())
    rows, columns = np.nonzero(mask)
    box = [int(side) for side in (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)]
    assert list(found.bbox or ()) == box
    assert found.area_px == mask.sum()
    assert found.area_fraction == pytest.approx(mask.mean(), abs=1e-6)

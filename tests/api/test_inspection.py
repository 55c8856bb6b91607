from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from api.plates import PNG_HEADERS, assert_problem, form, image_part, plate_png, register
from lerenet.api.inspection import MAX_LOGGED
from serving import AppClient

SAID: dict[str, Any] = {
    "station": "press 3",
    "part": "coil-000417",
    "timestamp": "2026-03-02T08:15:30+01:00",
    "shift": "späť",
    "exposure_ms": 4.5,
    "is_wet": True,
    "n": 3,
    "inspector": None,
}
NAMED = {name: SAID[name] for name in ("station", "part", "timestamp")}
FREE = json.dumps({name: value for name, value in SAID.items() if name not in NAMED})


async def test_metadata_in_the_form_is_echoed(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), **NAMED, metadata=FREE))

    assert response.json()["metadata"] == SAID


async def test_metadata_in_the_query_is_echoed(client: AppClient) -> None:
    await register(client)

    query = {**NAMED, "metadata": FREE}
    response = await client.post("/segment", params=query, content=plate_png(), headers=PNG_HEADERS)

    assert response.json()["metadata"] == SAID


async def test_query_with_form_makes_one_answer(client: AppClient) -> None:
    await register(client)

    sent = form(image_part(plate_png()), part="coil-1")
    response = await client.post("/segment?station=press-3", **sent)

    assert response.json()["metadata"] == {"station": "press-3", "part": "coil-1"}


async def test_nothing_said_is_an_empty_object(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png())))

    assert response.json()["metadata"] == {}


@pytest.mark.parametrize("accept", ["application/json", "image/png"])
async def test_metadata_is_in_the_line_of_the_request(client: AppClient, accept: str) -> None:
    await register(client)

    free = json.dumps({f"field{i}": "line\nbreak" * 8 for i in range(30)})
    sent = form(image_part(plate_png()), station="press-3", metadata=free)
    with structlog.testing.capture_logs() as lines:
        await client.post("/segment", **sent, headers={"Accept": accept})
        await client.get("/support")

    segment, other = (line for line in lines if line["event"] == "request")
    assert segment["metadata"].startswith('{"station": "press-3"')
    assert "\n" not in segment["metadata"]
    assert len(segment["metadata"]) == MAX_LOGGED
    assert "metadata" not in other


@pytest.mark.parametrize(
    ("field", "sent", "words"),
    [
        ("station", "", "at least 1 character"),
        ("station", "x" * 129, "at most 128 characters"),
        ("part", "two\nlines", "line breaks"),
        ("timestamp", "yesterday", "ISO 8601"),
        ("timestamp", "2026-03-02T08:15:30 01:00", "%2B"),
        ("metadata", "press-3", "no JSON"),
        ("metadata", "[1]", "a JSON list: send an object"),
        ("metadata", '{"a": [1]}', "a is a JSON list"),
        ("metadata", '{"station": "press-3"}', "parameter of its own"),
        ("metadata", '{"a": NaN}', "NaN is no JSON number"),
        ("metadata", '{"a": 1e999}', "a is not finite"),
        ("metadata", '{"a": 9007199254740993}', "send it as a text"),
        ("metadata", '{"a": "\\ud800"}', "no Unicode text"),
        ("metadata", '{"": 1}', "1 to 64 printable characters"),
        ("metadata", json.dumps({str(i): i for i in range(33)}), "33 fields: 32 at most"),
        ("metadata", json.dumps({"a": "x" * 513}), "at most 512 characters"),
        ("metadata", json.dumps({"a": "x" * 4096}), "at most 4096 characters"),
        ("metadata", "[" * 4000, "nested too deeply"),
    ],
)
async def test_metadata_out_of_bounds_is_refused(client: AppClient, field: str, sent: str, words: str) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), **{field: sent}))

    problem = assert_problem(response, 422, "malformed_request", f"/{field}")
    assert words in problem["detail"]

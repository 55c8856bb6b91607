"""Which revision of the registry an answer shows, and waiting for the one that a request asks for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.plates import PNG_HEADERS, assert_problem, form, parts, plate_png, register
from conftest import ClientFactory
from lerenet.api import create_app
from lerenet.api.layers import SENT_HEADERS, SHOWN_HEADERS
from lerenet.settings import Settings
from lerenet.support import SqliteStore
from serving import AppClient
from support.classes import commit

SHOWN = "X-Registry-Revision"
WANTED = "X-Min-Revision"


async def revision_now(client: AppClient) -> int:
    return int((await client.get("/support")).headers[SHOWN])


async def test_each_write_answers_with_a_higher_revision_than_the_one_before(client: AppClient) -> None:
    answers = [
        await client.post("/support", **form(*parts(), name="scratches")),
        await client.put("/support/scratches", **form(*parts(level=120, n=2))),
        await client.post("/support/scratches/shots", **form(*parts(level=90))),
        await client.delete("/support/scratches/shots/0"),
        await client.patch("/support/scratches", json={"threshold": 0.4}),
        await client.delete("/support/scratches"),
    ]

    assert [answer.is_success for answer in answers] == [True] * 6
    assert [int(answer.headers[SHOWN]) for answer in answers] == [1, 2, 3, 4, 5, 6]


async def test_a_write_that_changes_nothing_answers_with_the_revision_as_it_is(client: AppClient) -> None:
    await register(client)

    again = await client.post("/support", **form(*parts(), name="scratches"))

    assert (again.status_code, again.headers[SHOWN]) == (200, "1")


READS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/support", {}),
    ("GET", "/support/scratches", {}),
    ("GET", "/support/scratches/shots/0/image", {}),
    ("GET", "/support/scratches/shots/0/mask", {}),
    ("POST", "/segment", {"content": plate_png(), "headers": PNG_HEADERS}),
    ("POST", "/segment", {"content": plate_png(), "headers": {**PNG_HEADERS, "Accept": "image/png"}}),
    ("POST", "/segment?classes=scratches", {"content": plate_png(), "headers": PNG_HEADERS}),
]


@pytest.mark.parametrize(("method", "path", "sent"), READS)
async def test_reads_answer_with_the_revision_that_they_show(
    client: AppClient, method: str, path: str, sent: dict[str, Any]
) -> None:
    await register(client)
    await client.patch("/support/scratches", json={"min_area_px": 3})

    response = await client.request(method, path, **sent)

    assert (response.status_code, response.headers[SHOWN]) == (200, "2")


async def test_an_answer_without_a_body_shows_the_revision(client: AppClient) -> None:
    etag = f'"{(await register(client))["revision"]}"'

    response = await client.get("/support/scratches", headers={"If-None-Match": etag})

    assert (response.status_code, response.headers[SHOWN]) == (304, "1")


async def test_a_refusal_says_at_which_revision_the_class_was_missing(client: AppClient) -> None:
    await register(client)

    response = await client.get("/support/pits")

    assert (response.status_code, response.headers[SHOWN]) == (404, "1")


async def test_answers_that_are_not_of_the_registry_show_none(client: AppClient) -> None:
    assert SHOWN not in (await client.get("/version")).headers
    assert SHOWN not in (await client.get("/metrics")).headers


async def test_a_request_for_what_is_there_is_answered(client: AppClient) -> None:
    await register(client)

    response = await client.get("/support/scratches", headers={WANTED: "1"})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/support"), ("DELETE", "/support/scratches"), ("POST", "/segment")]
)
async def test_a_request_that_is_ahead_waits_for_another_process(
    client: AppClient, settings: Settings, method: str, path: str
) -> None:
    await register(client)
    sent = {"content": plate_png(), "headers": {**PNG_HEADERS, WANTED: "2"}}
    waiting = asyncio.create_task(client.request(method, path, **sent))  # type: ignore[arg-type]
    other = SqliteStore(settings.data_dir)
    try:
        await asyncio.to_thread(commit, other, "pits", 1)
    finally:
        other.close()

    response = await waiting

    assert response.is_success
    assert int(response.headers[SHOWN]) >= 2


async def test_a_registry_that_does_not_come_up_to_it_answers_503_with_both_numbers(client: AppClient) -> None:
    await register(client)

    refused = await client.get("/support/scratches", headers={WANTED: "41"})

    detail = assert_problem(refused, 503, "registry_behind")["detail"]
    assert "revision 1 here" in detail
    assert "asks for 41" in detail
    assert refused.headers["Retry-After"] == "1"


async def test_a_refused_write_writes_nothing(client: AppClient) -> None:
    refused = await client.post("/support", **form(*parts(), name="scratches"), headers={WANTED: "41"})

    assert_problem(refused, 503, "registry_behind")
    assert await revision_now(client) == 0


@pytest.mark.parametrize("sent", ["", "x", "-1", "1.5", "99999999999999999999"])
async def test_a_malformed_number_is_refused(client: AppClient, sent: str) -> None:
    response = await client.get("/support", headers={WANTED: sent})

    assert_problem(response, 422, "malformed_request", "/X-Min-Revision")


async def test_a_stopping_service_lets_a_waiting_request_end(client_factory: ClientFactory, settings: Settings) -> None:
    client = await client_factory(settings)
    waiting = asyncio.create_task(client.get("/support", headers={WANTED: "41"}))
    await revision_now(client)  # whoever comes later has been answered

    await client.runtime.__aexit__(None, None, None)

    assert_problem(await waiting, 503, "registry_behind")


def test_the_document_has_both_headers_on_every_route_of_the_registry(settings: Settings) -> None:
    document = create_app(settings).openapi()
    for path in ("/support", "/support/{name}", "/support/{name}/shots/{index}/mask", "/segment"):
        for operation in document["paths"][path].values():
            assert WANTED in {each["name"] for each in operation["parameters"]}
            assert all(SHOWN in response["headers"] for response in operation["responses"].values())
            assert "registry_behind" in operation["responses"]["503"]["content"]["application/problem+json"]["examples"]


def test_pages_of_other_origins_may_use_both_headers() -> None:
    assert WANTED in SENT_HEADERS
    assert SHOWN in SHOWN_HEADERS

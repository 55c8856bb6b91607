from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.plates import PNG_HEADERS, assert_problem, form, image_part, parts, plate_png, register
from conftest import ClientFactory
from fakes import FailingSegmenter, engine_with
from lerenet import errors
from lerenet.api.errors import STATUSES
from lerenet.errors import LERENetError
from lerenet.settings import Settings
from serving import AppClient


def tree(root: type[LERENetError] = LERENetError) -> Iterator[type[LERENetError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


# what the client raises is for its own callers, and only there once somebody has imported it
@pytest.mark.parametrize("error", [each for each in tree() if not each.__module__.startswith("lerenet.client")])
def test_every_error_has_a_status(error: type[LERENetError]) -> None:
    assert 400 <= STATUSES[error] < 600


@pytest.mark.parametrize("error", [each for each in tree() if each.__module__ == errors.__name__])
def test_every_error_is_drawn_in_the_tree_with_its_code(error: type[LERENetError]) -> None:
    drawing = errors.__doc__ or ""
    assert error.__name__ in drawing
    if not error.__subclasses__():
        assert f" {error.code} " in drawing


async def test_an_unknown_route_answers_404(client: AppClient) -> None:
    assert_problem(await client.get("/nowhere"), 404, "not_found")


async def test_another_method_answers_405_with_those_allowed(client: AppClient) -> None:
    response = await client.delete("/segment")

    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    others = {path: (await client.post(path)).headers["allow"] for path in ("/support/a", "/readyz")}
    assert others == {"/support/a": "DELETE, GET, PATCH, PUT", "/readyz": "GET"}
    assert (await client.put("/support")).headers["allow"] == "GET, POST"


async def test_an_unknown_query_parameter_is_named(client: AppClient) -> None:
    await register(client)
    for response in (
        await client.post("/segment?treshold=0.5", content=plate_png(), headers=PNG_HEADERS),
        await client.get("/support/scratches?treshold=0.5"),
        await client.get("/support?treshold=0.5"),
        await client.post("/support?treshold=0.5", **form(*parts(), name="a")),
        await client.patch("/support/scratches?treshold=0.5", json={}),
        await client.delete("/support/scratches?treshold=0.5"),
    ):
        assert "treshold" in assert_problem(response, 422, "malformed_request", "/treshold")["detail"]


async def test_an_unknown_form_field_is_named_with_those_there_are(client: AppClient) -> None:
    response = await client.post("/support", **form(*parts(), ("images[]", ("a.png", plate_png())), name="a"))

    body = assert_problem(response, 422, "malformed_request", "/images[]")
    assert "'images[]'" in body["detail"]
    assert "masks" in body["detail"]


async def test_a_text_in_place_of_a_file_is_told_how_curl_sends_files(client: AppClient) -> None:
    response = await client.post("/segment", files=[("images", (None, b"frame.png"))])

    assert "images=@FILE" in assert_problem(response, 422, "malformed_request", "/images")["detail"]


async def test_a_value_given_twice_is_refused(client: AppClient) -> None:
    response = await client.post("/support", **form(*parts(), name=["a", "b"]))

    assert_problem(response, 422, "malformed_request", "/name")


async def test_every_faulty_value_is_listed(client: AppClient) -> None:
    response = await client.post("/support", **form(*parts(), name="a", threshold="2", bits="10"))

    body = assert_problem(response, 422, "malformed_request")
    assert {each["pointer"] for each in body["errors"]} == {"/threshold", "/bits"}


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.01", "high"])
async def test_a_threshold_outside_its_range_is_refused(client: AppClient, value: str) -> None:
    await register(client)

    response = await client.post("/segment", params={"threshold": value}, content=plate_png(), headers=PNG_HEADERS)

    assert_problem(response, 422, "malformed_request", "/threshold")


@pytest.mark.parametrize("path", ["/support", "/segment"])
async def test_another_media_type_answers_415_naming_those_taken(client: AppClient, path: str) -> None:
    response = await client.post(path, data={"name": "a"})

    assert "multipart/form-data" in assert_problem(response, 415, "unsupported_media_type")["detail"]


async def test_a_body_without_a_type_answers_415(client: AppClient) -> None:
    assert_problem(await client.post("/segment", content=plate_png()), 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=y"])
async def test_broken_multipart_answers_400(client: AppClient, content_type: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="images"\r\n'

    response = await client.post("/segment", content=body, headers={"Content-Type": content_type})

    assert_problem(response, 400, "malformed_request")


async def test_annotations_that_are_not_json_answer_400(client: AppClient) -> None:
    response = await client.post("/support", **form(image_part(plate_png()), name="a", annotations="{"))

    assert_problem(response, 400, "malformed_request", "/annotations")


async def test_an_unexpected_error_answers_500_without_details(
    client_factory: ClientFactory, settings: Settings
) -> None:
    segmenter = FailingSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    segmenter.error = ValueError("/secret/path is missing")

    response = await client.post("/segment", **form(image_part(plate_png())))

    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text
    segmenter.error = None
    assert (await client.post("/segment", **form(image_part(plate_png())))).status_code == 200


async def test_a_fault_of_this_host_is_told_without_its_details(
    client_factory: ClientFactory, settings: Settings
) -> None:
    segmenter = FailingSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    segmenter.error = errors.RegistryError("/secret/path cannot be written")

    response = await client.post("/segment", **form(image_part(plate_png())))

    assert_problem(response, 500, "registry_error")
    assert "secret" not in response.text


async def test_a_field_that_no_utf8_spells_is_refused_like_any_other(client: AppClient) -> None:
    await register(client)

    response = await client.patch(
        "/support/scratches", content=b'{"\\ud800": 1}', headers={"Content-Type": "application/json"}
    )

    assert (response.status_code, response.json()["code"]) == (422, "malformed_request")

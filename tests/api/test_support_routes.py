from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pytest

from api.plates import (
    AREA_PX,
    HEIGHT,
    LEVEL,
    WIDTH,
    assert_problem,
    bar,
    bar_png,
    encoded,
    form,
    image_part,
    mask_part,
    parts,
    plate_png,
    register,
)
from conftest import ClientFactory
from fakes import LevelSegmenter, engine_with
from lerenet.imaging import ImageLimits, decode_mask
from lerenet.settings import Settings
from serving import AppClient


async def test_a_registration_answers_201_with_the_class(client: AppClient) -> None:
    response = await client.post("/support", **form(*parts(), name="scratches", description="hair lines"))

    assert response.status_code == 201
    body = response.json()
    assert response.headers["location"] == "/support/scratches"
    assert response.headers["etag"] == f'"{body["revision"]}"'
    assert body["name"] == "scratches"
    assert body["description"] == "hair lines"
    assert body["shots"] == [{"index": 0, "height": HEIGHT, "width": WIDTH, "area_px": AREA_PX}]
    assert (body["normals"], body["min_area_px"], body["scale"]) == (0, 0, 1.0)
    assert (body["threshold"], body["quality"]) == (0.5, None)
    assert len(body["revision"]) == 16
    assert body["created_at"]


async def test_several_shots_give_a_quality_with_the_suggested_threshold(client: AppClient) -> None:
    body = await register(client, n=3)

    assert body["quality"] == {"loo_iou": 0.75}
    assert body["threshold"] == body["suggested_threshold"] == 0.6


async def test_the_same_content_again_answers_200_without_work(
    client_factory: ClientFactory, settings: Settings
) -> None:
    segmenter = LevelSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    first = await client.post("/support", **form(*parts(), name="scratches"))
    n_encoded = segmenter.n_encoded

    second = await client.post("/support", **form(*parts(), name="scratches"))

    assert (second.status_code, second.json()) == (200, first.json())
    assert "location" not in second.headers
    assert segmenter.n_encoded == n_encoded


async def test_other_content_under_a_taken_name_answers_409(client: AppClient) -> None:
    await register(client)

    response = await client.post("/support", **form(*parts(level=90), name="scratches"))

    assert_problem(response, 409, "class_exists", "/name")


async def test_put_creates_with_201(client: AppClient) -> None:
    response = await client.put("/support/pits", **form(*parts()))

    assert (response.status_code, response.headers["location"]) == (201, "/support/pits")


async def test_put_replaces_with_200_and_another_revision(client: AppClient) -> None:
    before = await register(client, threshold=0.3)

    response = await client.put("/support/scratches", **form(*parts(level=90)))

    after = response.json()
    assert response.status_code == 200
    assert after["revision"] != before["revision"]
    assert after["created_at"] == before["created_at"]
    assert after["threshold"] == 0.5  # parameters that are not sent return to their defaults


async def test_put_refuses_a_stale_if_match(client: AppClient) -> None:
    await register(client)

    response = await client.put("/support/scratches", **form(*parts(90)), headers={"If-Match": '"0123456789abcdef"'})

    assert_problem(response, 412, "precondition_failed")


async def test_put_honours_a_current_if_match(client: AppClient) -> None:
    body = await register(client)

    response = await client.put("/support/scratches", **form(*parts(90)), headers={"If-Match": f'"{body["revision"]}"'})

    assert response.status_code == 200


async def test_put_with_if_none_match_star_creates_only(client: AppClient) -> None:
    headers = {"If-None-Match": "*"}

    created = await client.put("/support/pits", **form(*parts()), headers=headers)
    refused = await client.put("/support/pits", **form(*parts(90)), headers=headers)

    assert created.status_code == 201
    assert_problem(refused, 412, "precondition_failed")


@pytest.mark.parametrize("tag", ["0123456789abcdef", 'W/"0123456789abcdef"', '"a", "b"'])
async def test_a_precondition_that_is_no_strong_tag_answers_422(client: AppClient, tag: str) -> None:
    await register(client)

    response = await client.delete("/support/scratches", headers={"If-Match": tag})

    assert_problem(response, 422, "malformed_request")


async def test_shots_are_appended_once_however_often_they_are_sent(client: AppClient) -> None:
    await register(client)

    first = await client.post("/support/scratches/shots", **form(*parts(n=2)))
    again = await client.post("/support/scratches/shots", **form(*parts(n=2)))

    assert [shot["index"] for shot in first.json()["shots"]] == [0, 1]
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]


async def test_normals_are_appended_without_shots(client: AppClient) -> None:
    await register(client)

    response = await client.post("/support/scratches/shots", **form(("normals", ("clean.png", plate_png(20)))))

    assert (response.status_code, response.json()["normals"]) == (200, 1)


async def test_an_empty_addition_answers_422(client: AppClient) -> None:
    await register(client)

    response = await client.post("/support/scratches/shots", files=[("bits", (None, b"16"))])

    assert_problem(response, 422, "invalid_support", "/images")


async def test_a_dropped_shot_is_gone(client: AppClient) -> None:
    await register(client, n=2)

    response = await client.delete("/support/scratches/shots/0")

    assert (response.status_code, len(response.json()["shots"])) == (200, 1)


async def test_the_only_shot_stays(client: AppClient) -> None:
    await register(client)

    assert_problem(await client.delete("/support/scratches/shots/0"), 422, "invalid_support")


async def test_patch_changes_what_is_sent(client: AppClient) -> None:
    before = await register(client, description="hair lines")

    response = await client.patch("/support/scratches", json={"threshold": 0.3, "min_area_px": 7, "min_score": 0.6})

    after = response.json()
    assert response.status_code == 200
    assert (after["threshold"], after["min_area_px"], after["min_score"]) == (0.3, 7, 0.6)
    assert after["description"] == "hair lines"
    assert after["revision"] != before["revision"]
    assert response.headers["etag"] == f'"{after["revision"]}"'


@pytest.mark.parametrize("name", ["threshold", "min_score"])
async def test_patch_with_null_returns_to_the_suggestion(client: AppClient, name: str) -> None:
    await register(client, **{name: "0.3"})  # type: ignore[arg-type]

    response = await client.patch("/support/scratches", json={name: None})

    assert response.json()[name] == response.json()[f"suggested_{name}"] != 0.3


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        (b'{"threshold": 1.5}', 422, "/threshold"),
        (b'{"min_score": -0.1}', 422, "/min_score"),
        (b'{"min_area_px": -1}', 422, "/min_area_px"),
        (b'{"colour": "red"}', 422, "/colour"),
        (b"[1]", 400, None),
        (b"{", 400, None),
    ],
)
async def test_a_faulty_patch_is_refused(client: AppClient, content: bytes, status: int, pointer: str | None) -> None:
    await register(client)

    response = await client.patch("/support/scratches", content=content, headers={"Content-Type": "application/json"})

    assert_problem(response, status, "malformed_request", pointer)


async def test_patch_of_another_media_type_answers_415(client: AppClient) -> None:
    await register(client)

    response = await client.patch("/support/scratches", data={"threshold": "0.3"})

    assert_problem(response, 415, "unsupported_media_type")


async def test_classes_are_listed_by_page_in_order_of_name(client: AppClient) -> None:
    for name in ("pits", "cracks", "scratches"):
        await register(client, name)

    first = (await client.get("/support", params={"limit": 2})).json()
    second = (await client.get("/support", params={"limit": 2, "cursor": first["next"]})).json()

    assert [each["name"] for each in first["classes"]] == ["cracks", "pits"]
    assert [each["name"] for each in second["classes"]] == ["scratches"]
    assert second["next"] is None


async def test_a_class_that_the_caller_knows_answers_304(client: AppClient) -> None:
    body = await register(client)

    response = await client.get("/support/scratches", headers={"If-None-Match": f'"{body["revision"]}"'})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == f'"{body["revision"]}"'


async def test_an_older_revision_can_be_looked_at(client: AppClient) -> None:
    before = await register(client)
    await client.patch("/support/scratches", json={"threshold": 0.3})

    response = await client.get(f"/support/scratches@{before['revision']}")

    assert response.json()["revision"] == before["revision"]
    assert response.json()["threshold"] == 0.5


async def test_an_unknown_class_answers_404(client: AppClient) -> None:
    for response in (
        await client.get("/support/rust"),
        await client.delete("/support/rust"),
        await client.patch("/support/rust", json={}),
        await client.post("/support/rust/shots", **form(*parts())),
        await client.get("/support/rust/shots/0/image"),
    ):
        assert_problem(response, 404, "unknown_class")


async def test_an_unknown_shot_answers_404(client: AppClient) -> None:
    await register(client)

    assert_problem(await client.get("/support/scratches/shots/1/mask"), 404, "unknown_class")


async def test_a_deleted_class_is_gone(client: AppClient) -> None:
    await register(client)

    response = await client.delete("/support/scratches")

    assert (response.status_code, response.content) == (204, b"")
    assert_problem(await client.get("/support/scratches"), 404, "unknown_class")


async def test_a_shot_image_is_the_uploaded_file(client: AppClient) -> None:
    await client.post("/support", **form(image_part(plate_png()), mask_part(bar_png()), name="scratches"))

    response = await client.get("/support/scratches/shots/0/image")

    assert (response.headers["content-type"], response.content) == ("image/png", plate_png())


async def test_a_shot_mask_is_a_png_of_what_is_marked(client: AppClient) -> None:
    await register(client)

    response = await client.get("/support/scratches/shots/0/mask")

    assert response.headers["content-type"] == "image/png"
    assert np.array_equal(decode_mask(response.content, ImageLimits()), bar())


@pytest.mark.parametrize("file", ["image", "mask"])
async def test_a_shot_file_names_the_revision_it_is_of(client: AppClient, file: str) -> None:
    revision = (await register(client))["revision"]

    response = await client.get(f"/support/scratches/shots/0/{file}")

    assert response.headers["x-revision"] == revision


async def test_annotations_stand_in_for_masks(client: AppClient) -> None:
    annotations = json.dumps([[[10, 15, 50, 15, 50, 27, 10, 27]]])

    response = await client.post("/support", **form(image_part(plate_png()), name="a", annotations=annotations))

    assert response.status_code == 201
    assert response.json()["shots"][0]["area_px"] == AREA_PX


async def test_annotations_are_taken_as_a_file_too(client: AppClient) -> None:
    annotations = ("annotations", ("a.json", json.dumps([[[10, 15, 50, 15, 50, 27, 10, 27]]]).encode()))

    response = await client.post("/support", **form(image_part(plate_png()), annotations, name="a"))

    assert response.status_code == 201


async def test_masks_beside_annotations_are_refused(client: AppClient) -> None:
    response = await client.post("/support", **form(*parts(), name="a", annotations="[]"))

    assert_problem(response, 422, "invalid_support", "/annotations")


async def test_twelve_bit_grey_is_scaled_by_its_depth(client: AppClient) -> None:
    """A 12-bit plate is stored as it is, and seen as its 8-bit twin."""
    values = np.full((HEIGHT, WIDTH), 20 << 4, np.uint16)
    values[bar() == 1] = LEVEL << 4
    deep = encoded(PIL.Image.fromarray(values), "PNG")
    await client.post("/support", **form(image_part(deep), mask_part(bar_png()), name="deep", bits="12"))

    response = await client.post("/segment", **form(image_part(plate_png()), classes="deep"))

    assert response.json()["results"][0]["classes"][0]["area_px"] == AREA_PX

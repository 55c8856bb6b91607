from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from typing import Any, get_args

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from api.plates import (
    AREA_PX,
    BOX,
    HEIGHT,
    LEVEL,
    PNG_HEADERS,
    WIDTH,
    assert_problem,
    bar,
    form,
    image_part,
    plate,
    plate_png,
    register,
)
from lerenet.api.masks import MaskFormat
from lerenet.formats.brush import decode_brush
from lerenet.formats.polygons import fill_polygons
from lerenet.imaging import encode_image_png
from serving import AppClient

# pycocotools has not yet followed numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(PIL.Image.open(BytesIO(png)))


async def test_a_frame_is_answered_with_masks_that_coco_tools_read(client: AppClient) -> None:
    registered = await register(client)

    response = await client.post("/segment", **form(image_part(plate_png(), "line/frame 1.png")))

    assert response.status_code == 200
    body = response.json()
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["weights"] == response.headers["x-weights-digest"] == "0" * 64
    [frame] = body["results"]
    assert (frame["index"], frame["filename"]) == (0, "line/frame 1.png")
    assert (frame["height"], frame["width"]) == (HEIGHT, WIDTH)
    [found] = frame["classes"]
    assert (found["name"], found["revision"]) == ("scratches", registered["revision"])
    assert (found["score"], found["threshold"], found["min_score"]) == (0.998039, 0.5, 0.0)
    assert (found["area_px"], found["bbox"]) == (AREA_PX, BOX)
    assert found["area_fraction"] == pytest.approx(AREA_PX / (HEIGHT * WIDTH))
    assert found["regions"] == [{"bbox": BOX, "area_px": AREA_PX, "score": 0.998039}]
    assert found["mask"]["size"] == [HEIGHT, WIDTH]
    assert np.array_equal(coco.decode(found["mask"]), bar())


async def test_a_clean_frame_has_no_box(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png(level=20))))

    [found] = response.json()["results"][0]["classes"]
    assert (found["bbox"], found["regions"], found["area_px"]) == (None, [], 0)


async def test_a_raw_body_is_answered_like_a_form(client: AppClient) -> None:
    await register(client)

    raw = await client.post("/segment", content=plate_png(), headers=PNG_HEADERS)
    sent = await client.post("/segment", **form(image_part(plate_png())))

    assert raw.json()["results"][0]["filename"] is None
    assert raw.json()["results"][0]["classes"] == sent.json()["results"][0]["classes"]


async def test_several_frames_keep_their_order(client: AppClient) -> None:
    await register(client)
    levels = [LEVEL, 20, LEVEL]

    response = await client.post(
        "/segment", **form(*[image_part(plate_png(level), f"{level}.png") for level in levels])
    )

    results = response.json()["results"]
    assert [(frame["index"], frame["filename"]) for frame in results] == [(0, "200.png"), (1, "20.png"), (2, "200.png")]
    assert [frame["classes"][0]["area_px"] for frame in results] == [AREA_PX, 0, AREA_PX]


@pytest.mark.parametrize("listed", [["pits", "scratches"], ["pits,scratches"], ["pits, scratches", "pits"]])
async def test_classes_are_named_by_comma_or_repetition(client: AppClient, listed: list[str]) -> None:
    for name, level in (("scratches", LEVEL), ("pits", 120), ("cracks", 90)):
        await register(client, name, level)

    in_query = await client.post("/segment", params={"classes": listed}, content=plate_png(), headers=PNG_HEADERS)
    in_form = await client.post("/segment", **form(image_part(plate_png()), classes=listed))

    for response in (in_query, in_form):
        assert [each["name"] for each in response.json()["results"][0]["classes"]] == ["pits", "scratches"]


async def test_all_classes_are_found_in_order_of_name_by_default(client: AppClient) -> None:
    for name, level in (("scratches", LEVEL), ("pits", 120)):
        await register(client, name, level)

    response = await client.post("/segment", **form(image_part(plate_png())))

    assert [each["name"] for each in response.json()["results"][0]["classes"]] == ["pits", "scratches"]


async def test_an_older_revision_segments_as_it_did(client: AppClient) -> None:
    before = await register(client)
    await client.put("/support/scratches", files=[("images", plate_png(90)), ("masks", encode_image_png(bar() * 255))])

    old = await client.post("/segment", **form(image_part(plate_png()), classes=f"scratches@{before['revision']}"))
    new = await client.post("/segment", **form(image_part(plate_png()), classes="scratches"))

    [[was], [now]] = ([*each.json()["results"][0]["classes"]] for each in (old, new))
    assert (was["revision"], was["area_px"]) == (before["revision"], AREA_PX)
    assert (now["revision"] == before["revision"], now["area_px"]) == (False, 0)


async def test_parameters_of_a_request_come_before_those_of_the_class(client: AppClient) -> None:
    await register(client, threshold=0.9)
    frame = plate(level=LEVEL - 20)  # probability 175 / 255 = 0.69

    async def area_px(**fields: str) -> int:
        response = await client.post("/segment", **form(image_part(encode_image_png(frame)), **fields))
        found: int = response.json()["results"][0]["classes"][0]["area_px"]
        return found

    assert await area_px() == 0
    assert await area_px(threshold="0.5") == AREA_PX
    assert await area_px(threshold="0.5", min_area_px=str(AREA_PX + 1)) == 0
    assert await area_px(threshold="0.5", min_score="0.999") == 0


async def test_only_the_region_of_interest_is_looked_at(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), roi="20,0,60,20"))

    [found] = response.json()["results"][0]["classes"]
    assert found["mask"]["size"] == [HEIGHT, WIDTH]
    assert found["bbox"] == [20, 15, 30, 5]
    assert found["area_fraction"] == pytest.approx(150 / (HEIGHT * WIDTH))
    expected = bar()
    expected[20:], expected[:, :20] = 0, 0
    assert np.array_equal(coco.decode(found["mask"]), expected)


@pytest.mark.parametrize("roi", ["0,0,81,10", "70,0,20,10", "0,0,0,5", "1,2,3", "a,b,c,d", "-1,0,5,5"])
async def test_a_region_of_interest_outside_the_frame_answers_422(client: AppClient, roi: str) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), roi=roi))

    assert_problem(response, 422, "malformed_request", "/roi")


async def test_format_rle_lists_the_runs(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), format="rle"))

    mask = response.json()["results"][0]["classes"][0]["mask"]
    assert sum(mask["counts"]) == HEIGHT * WIDTH
    assert np.array_equal(coco.decode(coco.frPyObjects(mask, HEIGHT, WIDTH)), bar())


async def test_format_png_is_a_bilevel_image(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), format="png"))

    mask = response.json()["results"][0]["classes"][0]["mask"]
    assert mask["size"] == [HEIGHT, WIDTH]
    assert np.array_equal(pixels(b64decode(mask["png"])), bar().astype(bool))


async def test_format_probability_is_the_8_bit_map(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png(LEVEL - 20)), format="probability"))

    q = pixels(b64decode(response.json()["results"][0]["classes"][0]["mask"]["png"]))
    assert q.dtype == np.uint8
    assert (int(q[20, 20]), int(q[0, 0])) == (175, 0)


async def test_format_none_leaves_the_mask_out(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), format="none"))

    [found] = response.json()["results"][0]["classes"]
    assert (found["mask"], found["area_px"]) == (None, AREA_PX)


async def found_as(client: AppClient, wanted: str, *, level: int = LEVEL) -> Any:
    """The mask of one class in a format."""
    await register(client)
    response = await client.post("/segment", **form(image_part(plate_png(level)), format=wanted))
    assert response.status_code == 200, response.text
    return response.json()["results"][0]["classes"][0]["mask"]


async def test_format_polygons_are_outlines(client: AppClient) -> None:
    x, y, width, height = BOX

    mask = await found_as(client, "polygons")

    assert mask["polygons"] == [[x, y, x + width, y, x + width, y + height, x, y + height]]
    assert np.array_equal(fill_polygons(mask["polygons"], *mask["size"]), bar())


async def test_format_label_studio_is_a_ready_prediction(client: AppClient) -> None:
    prediction = await found_as(client, "label_studio")

    registered = await register(client)
    assert prediction["model_version"] == f"scratches@{registered['revision']}"
    [result] = prediction["result"]
    assert (result["type"], result["value"]["brushlabels"]) == ("brushlabels", ["scratches"])
    assert (result["original_width"], result["original_height"]) == (WIDTH, HEIGHT)
    assert np.array_equal(decode_brush(result["value"]["rle"], HEIGHT, WIDTH), bar())


async def test_format_cvat_is_the_box_and_its_pixels(client: AppClient) -> None:
    x, y, width, height = BOX

    mask = await found_as(client, "cvat")

    assert (mask["type"], mask["label"], mask["confidence"]) == ("mask", "scratches", "0.998039")
    assert mask["mask"] == [1] * AREA_PX + [x, y, x + width - 1, y + height - 1]


async def test_a_clean_frame_is_a_prediction_without_results(client: AppClient) -> None:
    assert (await found_as(client, "label_studio", level=20))["result"] == []


@pytest.mark.parametrize(("wanted", "nothing"), [("polygons", []), ("cvat", None)])
async def test_a_clean_frame_has_no_shape(client: AppClient, wanted: str, nothing: object) -> None:
    mask = await found_as(client, wanted, level=20)

    assert (mask and mask["polygons"]) == nothing


@pytest.mark.parametrize("wanted", ["bmp", "coco", "Polygons"])
async def test_another_format_answers_422_naming_those_there_are(client: AppClient, wanted: str) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), format=wanted))

    body = assert_problem(response, 422, "malformed_request", "/format")
    assert all(known in body["detail"] for known in get_args(MaskFormat))


async def test_accept_png_gives_a_bilevel_mask_for_one_class(client: AppClient) -> None:
    registered = await register(client)

    response = await client.post("/segment", content=plate_png(), headers={**PNG_HEADERS, "Accept": "image/png"})

    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-classes"] == "scratches"
    assert response.headers["x-revisions"] == registered["revision"]
    assert response.headers["x-scores"] == "0.998039"
    assert response.headers["vary"] == "Accept"
    assert np.array_equal(pixels(response.content), bar().astype(bool))


async def test_accept_png_gives_a_palette_for_several_classes(client: AppClient) -> None:
    """Where both classes mark a pixel, the more probable one has it."""
    await register(client, "a", level=LEVEL)
    await register(client, "b", level=LEVEL - 20)
    frame = plate(level=LEVEL)
    frame[0:5] = LEVEL - 20

    response = await client.post(
        "/segment", content=encode_image_png(frame), headers={**PNG_HEADERS, "Accept": "image/png"}
    )

    assert response.headers["x-classes"] == "a,b"
    assert PIL.Image.open(BytesIO(response.content)).mode == "P"
    expected = bar()
    expected[0:5] = 2
    assert np.array_equal(pixels(response.content), expected)


async def test_accept_png_with_format_probability_gives_the_map(client: AppClient) -> None:
    await register(client)

    response = await client.post(
        "/segment?format=probability",
        content=plate_png(LEVEL - 20),
        headers={**PNG_HEADERS, "Accept": "image/png"},
    )

    assert pixels(response.content)[20, 20] == 175


async def test_accept_png_of_several_probability_maps_answers_406(client: AppClient) -> None:
    await register(client, "a")
    await register(client, "b", level=90)

    response = await client.post(
        "/segment?format=probability", content=plate_png(), headers={**PNG_HEADERS, "Accept": "image/png"}
    )

    assert_problem(response, 406, "not_acceptable")


@pytest.mark.parametrize(
    ("accept", "n_frames", "wanted"),
    [("image/png", 2, "coco_rle"), ("image/png", 1, "rle"), ("text/html", 1, "coco_rle"), ("image/jpeg", 1, "png")],
)
async def test_a_body_that_cannot_be_answers_406(client: AppClient, accept: str, n_frames: int, wanted: str) -> None:
    await register(client)
    frames = [image_part(plate_png())] * n_frames

    response = await client.post("/segment", **form(*frames, format=wanted), headers={"Accept": accept})

    assert_problem(response, 406, "not_acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/png;q=0.5, application/json", "application/*"])
async def test_json_is_the_answer_where_it_is_liked_best(client: AppClient, accept: str) -> None:
    await register(client)

    response = await client.post("/segment", content=plate_png(), headers={**PNG_HEADERS, "Accept": accept})

    assert response.headers["content-type"] == "application/json"


async def test_one_undecodable_image_refuses_the_whole_request(client: AppClient) -> None:
    await register(client)
    frames = [image_part(plate_png()) for _ in range(4)]
    frames[3] = image_part(plate_png()[:-40])

    response = await client.post("/segment", **form(*frames))

    assert_problem(response, 422, "undecodable_image", "/images/3")


async def test_without_classes_the_answer_is_409(client: AppClient) -> None:
    assert_problem(await client.post("/segment", **form(image_part(plate_png()))), 409, "no_support_classes")


@pytest.mark.parametrize("reference", ["rust", "scratches@0123456789abcdef", "scratches@", "a/b"])
async def test_an_unknown_class_answers_404(client: AppClient, reference: str) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png()), classes=reference))

    assert_problem(response, 404, "unknown_class")


async def test_an_empty_list_of_classes_answers_422(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment?classes=", content=plate_png(), headers=PNG_HEADERS)

    assert_problem(response, 422, "malformed_request")


async def test_a_parameter_in_query_and_form_answers_422(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment?threshold=0.2", **form(image_part(plate_png()), threshold="0.3"))

    assert_problem(response, 422, "malformed_request", "/threshold")


async def test_stage_durations_come_with_the_answer(client: AppClient) -> None:
    await register(client)

    response = await client.post("/segment", **form(image_part(plate_png())))

    stages = [entry.split(";")[0] for entry in response.headers["server-timing"].split(", ")]
    assert stages == ["read", "decode", "queue", "device", "encode", "total"]

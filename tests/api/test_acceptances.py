"""Files that other tools write, each taken for what it shows."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from api.plates import AREA_PX, BOX, HEIGHT, WIDTH, bar, bar_png, encoded, form, image_part, mask_part, parts, plate
from serving import AppClient

SIXTEEN_BIT = PIL.Image.fromarray(plate().astype(np.uint16) * 257)
PALETTE = PIL.Image.fromarray(plate()).convert("P")
GREY = PIL.Image.fromarray(plate())
RGB = PIL.Image.fromarray(plate()).convert("RGB")
ROTATED = PIL.Image.Exif()
ROTATED[274] = 6  # to be turned a quarter clockwise
TURNED = PIL.Image.fromarray(np.rot90(plate()).copy())

FRAMES = {
    "16-bit PNG": encoded(SIXTEEN_BIT, "PNG"),
    "palette PNG": encoded(PALETTE, "PNG"),
    "grey BMP": encoded(GREY, "BMP"),
    "RGB BMP": encoded(RGB, "BMP"),
    "TIFF": encoded(GREY, "TIFF"),
    "16-bit TIFF": encoded(SIXTEEN_BIT, "TIFF"),
    "LZW TIFF": encoded(RGB, "TIFF", compression="tiff_lzw"),
    "JPEG": encoded(RGB, "JPEG", quality=95),
    "EXIF-rotated JPEG": encoded(TURNED, "JPEG", quality=95, exif=ROTATED),
    "RGBA PNG": encoded(RGB.convert("RGBA"), "PNG"),
}

MASKS = {
    "1-bit": bar_png(),
    "0 and 255": encoded(PIL.Image.fromarray(bar() * np.uint8(255)), "PNG"),
    "0 and 1": encoded(PIL.Image.fromarray(bar()), "PNG"),
    "RGB with equal channels": encoded(PIL.Image.fromarray(bar() * np.uint8(255)).convert("RGB"), "PNG"),
    "palette": encoded(PIL.Image.fromarray(bar()).convert("P"), "PNG"),
    "BMP": encoded(PIL.Image.fromarray(bar() * np.uint8(255)), "BMP"),
    "JPEG": encoded(PIL.Image.fromarray(bar() * np.uint8(255)), "JPEG", quality=95),
}


@pytest.mark.parametrize("kind", FRAMES)
async def test_a_frame_is_read_as_displayed(client: AppClient, kind: str) -> None:
    await client.post("/support", **form(*parts(), name="a"))

    response = await client.post("/segment", **form(image_part(FRAMES[kind])))

    assert response.status_code == 200
    [frame] = response.json()["results"]
    assert (frame["height"], frame["width"]) == (HEIGHT, WIDTH)
    assert frame["classes"][0]["bbox"] == BOX


@pytest.mark.parametrize("kind", FRAMES)
async def test_a_support_image_is_read_as_displayed(client: AppClient, kind: str) -> None:
    response = await client.post("/support", **form(image_part(FRAMES[kind]), mask_part(bar_png()), name="a"))

    assert response.status_code == 201
    assert (response.json()["shots"][0]["height"], response.json()["shots"][0]["width"]) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("kind", MASKS)
async def test_a_mask_is_read_by_its_kind(client: AppClient, kind: str) -> None:
    response = await client.post("/support", **form(*parts()[:1], mask_part(MASKS[kind]), name="a"))

    assert response.status_code == 201
    assert response.json()["shots"][0]["area_px"] == AREA_PX

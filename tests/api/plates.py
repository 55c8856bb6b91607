"""Plates that a `LevelSegmenter` can tell apart, and requests made of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import numpy as np
import PIL.Image

from lerenet.imaging import Image, Mask, encode_bilevel_png, encode_image_png

HEIGHT, WIDTH = 60, 80
BACKGROUND = 20
LEVEL = 200
BOX = [10, 15, 40, 12]
AREA_PX = 480
PNG_HEADERS = {"Content-Type": "image/png"}

Part = tuple[str, tuple[str, bytes]]


def plate(level: int = LEVEL) -> Image:
    """A dark plate with one bar of a grey level, at `BOX`."""
    image = np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8)
    image[bar() == 1] = level
    return image


def bar() -> Mask:
    """The mask of the bar."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    x, y, width, height = BOX
    mask[y : y + height, x : x + width] = 1
    return mask


def plate_png(level: int = LEVEL) -> bytes:
    return encode_image_png(plate(level))


def bar_png() -> bytes:
    return encode_bilevel_png(bar())


def parts(level: int = LEVEL, n: int = 1) -> list[Part]:
    """Image and mask parts of n different pairs of one class."""
    images = [("images", (f"plate{i}.png", encode_image_png(_varied(plate(level), i)))) for i in range(n)]
    return [*images, *[("masks", (f"mask{i}.png", bar_png())) for i in range(n)]]


def form(*files: Part, **fields: Any) -> dict[str, Any]:
    """Keyword arguments of a multipart request."""
    return {"data": fields, "files": list(files)}


def image_part(data: bytes, filename: str = "frame.png") -> Part:
    return ("images", (filename, data))


def mask_part(data: bytes, filename: str = "mask.png") -> Part:
    return ("masks", (filename, data))


async def register(
    client: httpx.AsyncClient, name: str = "scratches", level: int = LEVEL, n: int = 1, **fields: Any
) -> dict[str, Any]:
    """Registers a class; its body."""
    response = await client.post("/support", **form(*parts(level, n), name=name, **fields))
    assert response.status_code in (200, 201), response.text
    body: dict[str, Any] = response.json()
    return body


def encoded(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    """A Pillow image as a file."""
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def assert_problem(response: httpx.Response, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """Checks the one shape of every refusal, and gives back its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"} <= body.keys()
    assert (body["status"], body["code"]) == (status, code), body
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["instance"] == f"urn:request:{body['request_id']}"
    if pointer is not None:
        assert pointer in [each["pointer"] for each in body["errors"]], body
    return body


def _varied(image: Image, seed: int) -> Image:
    """Another image of the same levels under the mask."""
    image[0, seed] = 60
    return image

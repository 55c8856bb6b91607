"""What a registration or a frame is refused for, each with its status, its code and the place of the fault."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from struct import pack

import numpy as np
import PIL.Image
import pytest

from api.plates import (
    HEIGHT,
    PNG_HEADERS,
    WIDTH,
    assert_problem,
    bar,
    bar_png,
    encoded,
    form,
    image_part,
    mask_part,
    parts,
    plate,
    plate_png,
    register,
)
from conftest import ClientFactory
from lerenet.imaging import encode_bilevel_png
from lerenet.settings import Settings
from serving import AppClient


def hollow_png(side_px: int) -> bytes:
    """A PNG of a few kB that declares side x side pixels, all black."""
    lines = zlib.compressobj(9)
    row = bytes(1 + side_px)
    body = b"".join(lines.compress(row) for _ in range(side_px)) + lines.flush()

    def chunk(name: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))

    header = pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


async def test_no_masks(client: AppClient) -> None:
    response = await client.post("/support", **form(image_part(plate_png()), name="a"))

    assert_problem(response, 422, "invalid_support", "/masks")


async def test_no_images(client: AppClient) -> None:
    response = await client.post("/support", files=[("name", (None, b"a"))])

    assert_problem(response, 422, "invalid_support", "/images")


async def test_unequal_counts(client: AppClient) -> None:
    response = await client.post("/support", **form(*parts(n=2), mask_part(bar_png()), name="a"))

    body = assert_problem(response, 422, "invalid_support", "/masks")
    assert "2 images and 3 masks" in body["detail"]


async def test_a_mask_of_another_size(client: AppClient) -> None:
    small = encode_bilevel_png(bar()[:30])

    response = await client.post("/support", **form(*parts(), image_part(plate_png()), mask_part(small), name="a"))

    body = assert_problem(response, 422, "invalid_mask", "/masks/1")
    assert f"30 x {WIDTH}" in body["detail"]
    assert f"{HEIGHT} x {WIDTH}" in body["detail"]


async def test_an_empty_mask(client: AppClient) -> None:
    empty = encode_bilevel_png(np.zeros_like(bar()))

    response = await client.post("/support", **form(image_part(plate_png()), mask_part(empty), name="a"))

    assert_problem(response, 422, "invalid_mask", "/masks/0")


async def test_a_mask_with_several_labels(client: AppClient) -> None:
    labels = encoded(PIL.Image.fromarray(bar() + 1), "PNG")

    response = await client.post("/support", **form(image_part(plate_png()), mask_part(labels), name="a"))

    body = assert_problem(response, 422, "invalid_mask", "/masks/0")
    assert "1, 2" in body["detail"]


async def test_a_text_named_png(client: AppClient) -> None:
    response = await client.post("/support", **form(image_part(b"not an image"), mask_part(bar_png()), name="a"))

    assert_problem(response, 415, "unsupported_image", "/images/0")


async def test_a_truncated_jpeg(client: AppClient) -> None:
    jpeg = encoded(PIL.Image.fromarray(plate()), "JPEG")

    response = await client.post("/support", **form(image_part(jpeg[: len(jpeg) // 2]), mask_part(bar_png()), name="a"))

    assert_problem(response, 422, "undecodable_image", "/images/0")


async def test_zero_bytes(client: AppClient) -> None:
    response = await client.post("/support", **form(image_part(b""), mask_part(bar_png()), name="a"))

    assert_problem(response, 422, "undecodable_image", "/images/0")


async def test_a_small_file_of_very_many_pixels(client: AppClient) -> None:
    bomb = hollow_png(9_000)
    assert len(bomb) < 100_000

    response = await client.post("/support", **form(image_part(bomb), mask_part(bar_png()), name="a"))

    body = assert_problem(response, 413, "image_too_large", "/images/0")
    assert "80000000" in body["detail"]


@pytest.mark.parametrize("name", ["a/b", "../etc/passwd", "", ".hidden", "two words", "x" * 65, "scratches@1", "naïve"])
async def test_a_name_outside_the_rule(client: AppClient, name: str) -> None:
    response = await client.post("/support", **form(*parts(), name=name))

    assert_problem(response, 422, "invalid_support", "/name")


async def test_a_path_with_more_slashes(client: AppClient) -> None:
    assert_problem(await client.put("/support/a/b", **form(*parts())), 404, "not_found")


async def test_a_missing_name(client: AppClient) -> None:
    assert_problem(await client.post("/support", **form(*parts())), 422, "malformed_request", "/name")


async def test_more_shots_than_a_class_may_have(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_shots=2))

    response = await client.post("/support", **form(*parts(n=3), name="a"))

    assert_problem(response, 422, "limit_exceeded", "/images")


async def test_more_classes_than_there_may_be(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_classes=1))
    await register(client, "a")

    assert_problem(await client.post("/support", **form(*parts(), name="b")), 422, "limit_exceeded", "/name")


async def test_more_frames_than_a_request_may_have(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_images=2))
    await register(client)

    response = await client.post("/segment", **form(*[image_part(plate_png())] * 3))

    assert_problem(response, 422, "limit_exceeded", "/images")


async def test_more_pixels_than_a_request_may_have(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    pixels = HEIGHT * WIDTH
    client = await client_factory(make_settings(max_image_pixels=pixels, max_held_pixels=2 * pixels))
    await register(client)

    response = await client.post("/segment", **form(*[image_part(plate_png())] * 3))

    assert_problem(response, 422, "limit_exceeded", "/images")
    again = await client.post("/segment", **form(*[image_part(plate_png())] * 2))
    assert again.status_code == 200  # what the refused request held is free again


async def test_a_body_declared_over_the_limit(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_body_bytes=1_000))

    for path in ("/support", "/segment"):
        response = await client.post(path, **form(image_part(bytes(1_001)), name="a"))
        assert "1000 bytes" in assert_problem(response, 413, "body_too_large")["detail"]


@pytest.mark.parametrize("content_type", ["image/png", "multipart/form-data; boundary=x", "application/json"])
async def test_a_chunked_body_over_the_limit(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], content_type: str
) -> None:
    client = await client_factory(make_settings(max_body_bytes=1_000))
    await register_small(client)

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
        for _ in range(20):
            yield bytes(100)

    is_json = content_type.endswith("json")
    response = await client.request(
        "PATCH" if is_json else "POST",
        "/support/a" if is_json else "/segment",
        content=chunks(),
        headers={"Content-Type": content_type},
    )

    assert_problem(response, 413, "body_too_large")


async def test_a_body_of_just_the_limit_is_read(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_body_bytes=1_000))

    response = await client.post("/segment", content=bytes(1_000), headers=PNG_HEADERS)

    assert_problem(response, 409, "no_support_classes")


async def register_small(client: AppClient) -> None:
    tiny = encode_bilevel_png(bar()[10:20, 5:15])
    response = await client.post("/support", files=[("images", tiny), ("masks", tiny), ("name", (None, b"a"))])
    assert response.status_code == 201, response.text

"""What attacks come to: small cases of what was found, each with its outcome."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageFile

from api.plates import assert_problem, form, image_part, mask_part, parts, plate_png
from fuzz import attacks
from fuzz.served import server
from lerenet.api.annotations import annotated_masks
from lerenet.api.connection import MAX_HEAD_BYTES
from lerenet.api.forms import parsed_json
from lerenet.errors import BodyTooLarge, InvalidMask, LERENetError
from lerenet.imaging import ImageLimits, decode_image, decode_mask
from serving import AppClient

LIMITS = ImageLimits()
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize("name", attacks.FILES)
@pytest.mark.parametrize("decode", [decode_image, decode_mask])
def test_a_hostile_file_is_refused(name: str, decode: Any) -> None:
    make, code = attacks.FILES[name]

    with pytest.raises(LERENetError) as refusal:
        decode(make(), LIMITS)

    assert refusal.value.code == code


def test_files_within_the_bounds_are_read() -> None:
    segments = attacks.before_the_picture(b"\xff\xfe\0\4ab" * 100 + b"\xff" * 50)
    for data in (
        segments,
        attacks.with_scans(4),
        attacks.png(attacks.chunk(b"prVt", b"x") * 1_000),
        attacks.tiff(*attacks.STRIP),
        attacks.tiff(*attacks.STRIP, (700, 7, 60, 8)),
    ):
        assert decode_image(data, LIMITS).size > 0


def test_no_plugin_but_the_four_is_ever_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    begin = ImageFile.ImageFile.__init__

    def watched(self: ImageFile.ImageFile, *arguments: Any, **options: Any) -> None:
        opened.append(type(self).__name__)
        begin(self, *arguments, **options)

    monkeypatch.setattr(ImageFile.ImageFile, "__init__", watched)
    for data in (
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"%!PS",
        b"8BPS",
        b"P6 1 1 255 abc",
        b"\0\0\1\0",
        attacks.jpeg(),
        attacks.png(),
    ):
        try:
            decode_image(data + bytes(64), LIMITS)
        except LERENetError:
            continue

    assert set(opened) == {"JpegImageFile", "PngImageFile"}


def test_polygons_that_cross_every_row_again_and_again_are_refused() -> None:
    blank = np.zeros((3_000, 3_000), np.uint8)
    zigzag = [corner for i in range(1_000) for corner in (i, 0, i, 3_000)]
    [annotation] = annotated_masks(json.dumps([[zigzag]]), 1)

    with pytest.raises(InvalidMask, match="cross rows"):
        annotation.read(blank, LIMITS)


def test_many_annotations_of_a_large_image_are_refused() -> None:
    blank = np.broadcast_to(np.uint8(0), (8_000, 8_000))
    whole = {"size": [8_000, 8_000], "counts": [0, 64_000_000]}
    [annotation] = annotated_masks(json.dumps([[whole] * 200]), 1)

    with pytest.raises(InvalidMask, match="200 annotations"):
        annotation.read(blank, LIMITS)


@pytest.mark.parametrize(
    "counts", [[10**9, 10**9], [2**63 - 1, 1], [-1, 769], [10**30], [0] * 100, "P" * 100, "o" * 50]
)
def test_counts_that_cannot_be_are_refused(counts: Any) -> None:
    [annotation] = annotated_masks(json.dumps([{"size": [24, 32], "counts": counts}]), 1)

    with pytest.raises(InvalidMask):
        annotation.read(np.zeros((24, 32), np.uint8), LIMITS)


def test_a_size_of_a_billion_squared_is_refused_before_it_is_made() -> None:
    [annotation] = annotated_masks(json.dumps([{"size": [10**9, 10**9], "counts": [10**18]}]), 1)

    with pytest.raises(InvalidMask, match="1000000000"):
        annotation.read(np.zeros((24, 32), np.uint8), LIMITS)


@pytest.mark.parametrize("value", ["[]", '{"":0}', "1"])
def test_json_of_very_many_values_is_not_parsed(value: str) -> None:
    with pytest.raises(BodyTooLarge, match="1000000 values"):
        parsed_json("[" + ",".join([value] * 1_100_000) + "]", "the body")


async def test_deep_json_is_refused(client: AppClient) -> None:
    deep = "[" * 100_000

    response = await client.post("/support", **form(image_part(plate_png()), name="a", annotations=deep))
    patched = await client.patch("/support/a", content=deep, headers={"Content-Type": "application/json"})

    assert_problem(response, 400, "malformed_request", "/annotations")
    assert_problem(patched, 400, "malformed_request")


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "idna", "unicode_escape", "utf-16"])
async def test_a_form_in_another_charset_is_refused(client: AppClient, charset: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}

    response = await client.post("/support", content=b"--x--\r\n", headers=headers)

    assert_problem(response, 400, "malformed_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--y\r\n\r\n--y--",
        b"--x\r\n\r\n\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nX: ' + b"y" * 100_000 + b"\r\n\r\na\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n' + b"X: y\r\n" * 1_000 + b"\r\na\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na\r\n' * 1_001 + b"--x--",
        b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\na\r\n' * 1_001 + b"--x--",
        b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\na\r\n--x--',
        b"\r" * 10_000 + b"--x",
    ],
)
async def test_broken_multipart_is_refused(client: AppClient, body: bytes) -> None:
    response = await client.post("/support", content=body, headers=MULTIPART)

    assert response.status_code in (400, 422)
    assert_problem(response, response.status_code, "malformed_request")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 300],
)
async def test_a_form_without_a_sound_boundary_is_refused(client: AppClient, content_type: str) -> None:
    response = await client.post("/support", content=b"--x--", headers={"Content-Type": content_type})

    assert_problem(response, 400, "malformed_request")


async def test_a_text_field_of_megabytes_is_refused(client: AppClient) -> None:
    response = await client.post("/segment", **form(image_part(plate_png()), classes="a," * 600_000))

    assert_problem(response, 413, "body_too_large", "/classes")


@pytest.mark.parametrize("name", ["..%2Fetc", "a%00b", "a%0d%0aX-Evil:%201", "%2e%2e", "a%ff", "x" * 5_000])
async def test_a_name_of_tricks_finds_nothing(client: AppClient, name: str) -> None:
    response = await client.get(f"/support/{name}")
    written = await client.put(f"/support/{name}", **form(*parts()))

    assert response.status_code == 404
    assert written.status_code in (404, 422)
    assert "x-evil" not in {*response.headers, *written.headers}


@pytest.mark.parametrize("host", ["[::1", "a@b:99999", "a b", "a/b?c#d", "\xff"])
async def test_a_host_that_is_none_costs_nothing(client: AppClient, host: str) -> None:
    for path in ("/", "/none"):
        response = await client.get(path, headers=[(b"Host", host.encode("latin-1"))])
        assert response.status_code in (200, 404)


async def test_a_shot_of_very_many_digits_is_not_found(client: AppClient) -> None:
    await client.put("/support/a", **form(*parts()))

    for index in ("9" * 30, "9" * 5_000):
        response = await client.get(f"/support/a/shots/{index}/image")
        assert response.status_code in (404, 422)


async def test_a_declared_length_of_very_many_digits_is_no_number(client: AppClient) -> None:
    response = await client.post("/segment", content=b"", headers={"Content-Length": "9" * 5_000})

    assert response.status_code < 500


async def test_a_mask_that_is_a_bomb_is_refused(client: AppClient) -> None:
    bomb = attacks.png(attacks.chunk(b"prVt", b"") * 40_000)

    response = await client.post("/support", **form(image_part(plate_png()), mask_part(bomb), name="a"))

    assert_problem(response, 415, "unsupported_image", "/masks/0")


async def test_heads_are_bounded_on_a_real_connection(tmp_path: Path, tiny_weights: Path) -> None:
    endless = b"x" * (16 * MAX_HEAD_BYTES)
    with server(tmp_path, tiny_weights) as (address, process):
        port, before = int(address.rpartition(":")[2]), process.memory_info().rss
        for begin in (
            b"GET /" + endless,
            b"GET / HTTP/1.1\r\nX: " + endless,
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200_000,
            b"POST /segment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + endless,
            b"GET \xff HTTP/1.1\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        ):
            assert await _is_given_up(port, begin), begin[:40]
        assert process.memory_info().rss - before < 16 << 20


async def _is_given_up(port: int, data: bytes) -> bool:
    """Whether the server closes the connection although the request has no end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(20):
            while await reader.read(1 << 16):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.close()
    return True

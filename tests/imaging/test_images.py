from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest

from lerenet.errors import MalformedRequest, UndecodableImage, UnsupportedImage
from lerenet.imaging import Image, ImageLimits, decode_image, encode_image_png

Saved = Callable[..., bytes]

LIMITS = ImageLimits()
GREY = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
COLOUR = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
def test_image_comes_back_pixel_for_pixel(saved: Saved, file_format: str, image: Image) -> None:
    decoded = decode_image(saved(image, file_format), LIMITS)
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_is_read(saved: Saved, compression: str) -> None:
    np.testing.assert_array_equal(decode_image(saved(GREY, "TIFF", compression=compression), LIMITS), GREY)


def test_grey_jpeg_stays_grey(saved: Saved) -> None:
    assert decode_image(saved(np.full((8, 16), 90, np.uint8), "JPEG"), LIMITS).tolist() == [[90] * 16] * 8


def test_decoded_image_is_a_new_writable_array(saved: Saved) -> None:
    data = saved(GREY, "PNG")
    decode_image(data, LIMITS)[:] = 0
    np.testing.assert_array_equal(decode_image(data, LIMITS), GREY)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_upper_eight_bits(saved: Saved, file_format: str) -> None:
    values = np.array([[0, 255, 256, 4095, 65535]], np.uint16)
    assert decode_image(saved(values, file_format), LIMITS).tolist() == [[0, 0, 1, 15, 255]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_twelve_bit_grey_in_sixteen_is_scaled_by_its_depth(saved: Saved, file_format: str) -> None:
    values = np.array([[0, 15, 16, 2048, 4095]], np.uint16)
    assert decode_image(saved(values, file_format), LIMITS, bits=12).tolist() == [[0, 0, 1, 128, 255]]


def test_values_over_the_stated_depth_are_clipped(saved: Saved) -> None:
    assert decode_image(saved(np.array([[4096, 65535]], np.uint16), "PNG"), LIMITS, bits=12).tolist() == [[255, 255]]


def test_big_endian_sixteen_bit_tiff_is_read_in_its_byte_order(saved: Saved) -> None:
    values = np.array([[256, 65280]], ">u2")
    pixels = PIL.Image.frombuffer("I;16B", (2, 1), values.tobytes(), "raw", "I;16B", 0, 1)
    assert decode_image(saved(pixels, "TIFF"), LIMITS).tolist() == [[1, 255]]


def test_packed_twelve_bit_tiff_uses_its_own_depth() -> None:
    assert decode_image(_tiff(b"\x7f\xff\xff", t258=12, t277=1), LIMITS).tolist() == [[0x7F, 0xFF]]


@pytest.mark.parametrize("bits", [0, 8, 14, 17])
def test_depth_other_than_twelve_or_sixteen_is_refused(saved: Saved, bits: int) -> None:
    with pytest.raises(MalformedRequest, match=f"bits={bits}"):
        decode_image(saved(GREY, "PNG"), LIMITS, bits=bits)


def test_twelve_bits_of_colour_are_refused_rather_than_darkened(
    sixteen_bit_colour_png: Callable[[bytes], bytes],
) -> None:
    data = sixteen_bit_colour_png(bytes(range(12)))
    assert decode_image(data, LIMITS).tolist() == [[[0, 2, 4], [6, 8, 10]]]
    with pytest.raises(UnsupportedImage, match="bits=12"):
        decode_image(data, LIMITS, bits=12)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thirty_two_bit_values_are_refused(saved: Saved, dtype: type) -> None:
    with pytest.raises(UnsupportedImage, match="16-bit grey") as caught:
        decode_image(saved(GREY.astype(dtype), "TIFF"), LIMITS, pointer="/images/2")
    assert caught.value.pointer == "/images/2"


def test_palette_expands_to_its_colours(saved: Saved) -> None:
    pixels = PIL.Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    pixels.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    data = saved(pixels, "PNG", transparency=b"\x00\x80")
    assert decode_image(data, LIMITS).tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_one_bit_image_expands_to_black_with_white(saved: Saved, file_format: str) -> None:
    pixels = PIL.Image.fromarray(np.array([[True, False, True]]))
    assert decode_image(saved(pixels, file_format), LIMITS).tolist() == [[255, 0, 255]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"), [("RGBA", (7, 8, 9, 0), [7, 8, 9]), ("LA", (7, 0), 7)], ids=["RGBA", "LA"]
)
def test_alpha_is_dropped(saved: Saved, mode: str, colour: tuple[int, ...], expected: object) -> None:
    decoded = decode_image(saved(PIL.Image.new(mode, (1, 1), colour), "PNG"), LIMITS)
    assert decoded[0, 0].tolist() == expected


def test_premultiplied_grey_tiff_loses_its_alpha() -> None:
    data = _tiff(bytes([200, 255, 90, 128]), t258=8 << 16 | 8, t277=2, t338=1)
    assert decode_image(data, LIMITS).tolist() == [[200, 90]]


def test_cmyk_jpeg_becomes_rgb(saved: Saved) -> None:
    red = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decode_image(saved(red, "JPEG"), LIMITS)
    assert decoded.shape == (16, 16, 3)
    np.testing.assert_allclose(decoded[8, 8], (255, 0, 0), atol=3)


def test_image_png_keeps_every_pixel() -> None:
    for image in (GREY, COLOUR):
        np.testing.assert_array_equal(decode_image(encode_image_png(image), LIMITS), image)


def test_bmp_of_zeros_is_undecodable() -> None:
    with pytest.raises(UndecodableImage, match="damaged"):
        decode_image(b"BM" + bytes(60), LIMITS)


def _tiff(pixels: bytes, **tags: int) -> bytes:
    """One row of two pixels, little-endian, uncompressed; `tags` as t<number>=value."""
    given = {int(name[1:]): value for name, value in tags.items()}
    fields = {256: 2, 257: 1, 259: 1, 262: 1, 273: 8, 278: 1, 279: len(pixels)} | given
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag in (258, 338) else 4, 2 if value > 0xFFFF else 1, value)
        for tag, value in sorted(fields.items())
    )
    body = pixels.ljust(-(-len(pixels) // 4) * 4, b"\x00")
    return struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + struct.pack("<H", len(fields)) + entries + bytes(4)

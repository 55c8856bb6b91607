from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import PIL.Image
import pytest
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lerenet.errors import ImageTooLarge, LERENetError, UndecodableImage, UnsupportedImage
from lerenet.imaging.limits import ImageLimits
from lerenet.imaging.reading import read_upright

Saved = Callable[..., bytes]

LIMITS = ImageLimits()
FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
COLOUR = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)

# Where the displayed image's rows and columns come from, by EXIF orientation (TIFF 6.0: "0th row, 0th column").
DISPLAYED = {
    1: COLOUR,
    2: COLOUR[:, ::-1],
    3: COLOUR[::-1, ::-1],
    4: COLOUR[::-1],
    5: COLOUR.swapaxes(0, 1),
    6: COLOUR.swapaxes(0, 1)[:, ::-1],
    7: COLOUR.swapaxes(0, 1)[::-1, ::-1],
    8: COLOUR.swapaxes(0, 1)[::-1],
}

# What each orientation does to a picture lit at its top left: is it transposed, lit at the bottom, lit at the right?
JPEG_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

FIVE_SIX_FIVE = (0xF800, 0x07E0, 0x001F)


class Decoded(Exception):
    """The pixels were asked for."""


@pytest.fixture
def pixels_are_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> NoReturn:
        raise Decoded

    monkeypatch.setattr(ImageFile, "load", load)
    monkeypatch.setattr(TiffImageFile, "load", load)


@pytest.mark.parametrize("orientation", DISPLAYED)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_orientation_is_applied(saved: Saved, file_format: str, orientation: int) -> None:
    upright = read_upright(saved(COLOUR, file_format, exif=_exif(orientation)), LIMITS).pixels
    np.testing.assert_array_equal(np.asarray(upright), DISPLAYED[orientation])


@pytest.mark.parametrize("orientation", DISPLAYED)
def test_orientation_of_a_jpeg_is_applied(saved: Saved, orientation: int) -> None:
    corner_lit = np.zeros((16, 24, 3), np.uint8)
    corner_lit[:8, :8] = 255
    data = saved(corner_lit, "JPEG", quality=95, exif=_exif(orientation))
    upright = np.asarray(read_upright(data, LIMITS).pixels)
    lit_side = [
        position > size / 2
        for position, size in zip(np.argwhere(upright[..., 0] > 127).mean(0), upright.shape, strict=False)
    ]
    transposed, bottom, right = JPEG_TURNS[orientation]
    assert upright.shape == ((24, 16, 3) if transposed else (16, 24, 3))
    assert lit_side == [bottom, right]


def test_orientation_turns_sixteen_bit_grey(saved: Saved) -> None:
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 9999
    upright = read_upright(saved(values, "PNG", exif=_exif(6)), LIMITS).pixels
    np.testing.assert_array_equal(np.asarray(upright), values.T[:, ::-1])


def test_sixteen_bits_of_a_bmp_hold_three_channels() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    data = struct.pack("<2sIHHI", b"BM", 70, 0, 0, 66) + header + struct.pack("<IIIHH", *FIVE_SIX_FIVE, 31 << 11, 0)
    upright = read_upright(data, LIMITS)
    assert upright.bit_depth == 8
    assert upright.pixels.getpixel((0, 0)) == (255, 0, 0)


def test_damaged_metadata_costs_no_pixels(saved: Saved) -> None:
    data = saved(COLOUR, "JPEG", exif=b"Exif\x00\x00XX*\x00nonsense")
    assert read_upright(data, LIMITS).pixels.size == (24, 16)


def test_nine_thousand_squared_png_of_ten_kilobytes_is_refused_by_its_header(
    saved: Saved, pixels_are_forbidden: None
) -> None:
    data = saved(PIL.Image.new("1", (9000, 9000)), "PNG")
    assert len(data) < 12_000
    with pytest.raises(ImageTooLarge, match=r"9000 x 9000 px .* 80000000 pixels.* 81000000") as caught:
        read_upright(data, LIMITS, pointer="/images/0")
    assert caught.value.pointer == "/images/0"


@pytest.mark.parametrize("file_format", FORMATS)
def test_pixel_limit_is_held_before_decoding(saved: Saved, pixels_are_forbidden: None, file_format: str) -> None:
    data = saved(COLOUR, file_format)
    with pytest.raises(ImageTooLarge, match="383"):
        read_upright(data, ImageLimits(max_pixels=383))
    with pytest.raises(UndecodableImage) as caught:
        read_upright(data, ImageLimits(max_pixels=384))
    assert isinstance(caught.value.__cause__, Decoded)


@pytest.mark.parametrize("file_format", FORMATS)
def test_side_limit_is_held_before_decoding(saved: Saved, pixels_are_forbidden: None, file_format: str) -> None:
    data = saved(COLOUR, file_format)
    with pytest.raises(ImageTooLarge, match=r"16 x 24 px \(H x W\).* 23 px a side"):
        read_upright(data, ImageLimits(max_side_px=23))
    with pytest.raises(UndecodableImage):
        read_upright(data, ImageLimits(max_side_px=24))


def test_longest_side_by_default_is_32768(saved: Saved) -> None:
    assert read_upright(saved(PIL.Image.new("1", (32_768, 1)), "PNG"), LIMITS).pixels.size == (32_768, 1)
    with pytest.raises(ImageTooLarge, match="1 x 32769"):
        read_upright(saved(PIL.Image.new("1", (32_769, 1)), "PNG"), LIMITS)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP"])
def test_pillows_own_bomb_bound_does_not_interfere(
    saved: Saved, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    assert read_upright(saved(COLOUR, file_format), LIMITS).pixels.size == (24, 16)


@pytest.mark.parametrize("data", [b"not an image", b"<svg/>", b"GIF89a" + bytes(20), b"RIFF0000WEBPVP8 ", b"\x00"])
def test_other_types_are_unsupported_whatever_their_name(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match=data[:8].hex(" ")) as caught:
        read_upright(data, LIMITS, pointer="/images/1")
    assert caught.value.pointer == "/images/1"


def test_no_bytes_are_undecodable() -> None:
    with pytest.raises(UndecodableImage, match="0 bytes"):
        read_upright(b"", LIMITS)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_truncated_file_is_undecodable(saved: Saved, file_format: str, part: float) -> None:
    data = saved(COLOUR, file_format)
    with pytest.raises(UndecodableImage, match="truncated or damaged") as caught:
        read_upright(data[: max(8, int(part * len(data)))], LIMITS, pointer="/images/4")
    assert caught.value.pointer == "/images/4"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_bytes_raise_nothing_but_our_errors(saved: Saved, file_format: str) -> None:
    data = saved(COLOUR, file_format)
    rng = np.random.default_rng(7)
    n_refused = 0
    for _ in range(150):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(4, min(200, damaged.size), 4)] = rng.integers(0, 256, 4)
        try:
            read_upright(damaged.tobytes(), LIMITS)
        except LERENetError:
            n_refused += 1
    assert n_refused > 0


def test_multi_page_tiff_is_refused(saved: Saved) -> None:
    data = saved(COLOUR, "TIFF", save_all=True, append_images=[PIL.Image.fromarray(COLOUR)])
    with pytest.raises(UnsupportedImage, match="several pages"):
        read_upright(data, LIMITS)


def test_animated_png_is_refused(saved: Saved) -> None:
    data = saved(COLOUR, "PNG", save_all=True, append_images=[PIL.Image.fromarray(255 - COLOUR)])
    with pytest.raises(UnsupportedImage, match="frames"):
        read_upright(data, LIMITS)


def _exif(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[274] = orientation
    return exif

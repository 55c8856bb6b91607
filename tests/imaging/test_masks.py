from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import ceil, nan

import numpy as np
import PIL.Image
import pytest
from PIL.ImageDraw import Draw

from lerenet.errors import ImageTooLarge, InvalidMask, MalformedRequest, UndecodableImage, UnsupportedImage
from lerenet.imaging import (
    ImageLimits,
    check_pair,
    decode_mask,
    encode_bilevel_png,
    mask_from_probability,
    threshold_level,
)

Saved = Callable[..., bytes]

LIMITS = ImageLimits()
MASK = np.zeros((6, 9), np.uint8)
MASK[1:4, 2:7] = 1


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("foreground", [1, 128, 200, 255])
def test_two_valued_grey_mask_marks_its_upper_value(saved: Saved, file_format: str, foreground: int) -> None:
    np.testing.assert_array_equal(decode_mask(saved(MASK * np.uint8(foreground), file_format), LIMITS), MASK)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_one_bit_mask_marks_white(saved: Saved, file_format: str) -> None:
    decoded = decode_mask(saved(PIL.Image.fromarray(MASK.astype(bool)), file_format), LIMITS)
    np.testing.assert_array_equal(decoded, MASK)


def test_own_bilevel_png_is_read_back() -> None:
    np.testing.assert_array_equal(decode_mask(encode_bilevel_png(MASK), LIMITS), MASK)


def test_rgb_mask_of_equal_channels_counts_as_grey(saved: Saved) -> None:
    np.testing.assert_array_equal(decode_mask(saved(np.dstack([MASK * 255] * 3), "PNG"), LIMITS), MASK)


@pytest.mark.parametrize("index", [1, 7, 255])
def test_palette_mask_marks_the_index_other_than_zero(saved: Saved, index: int) -> None:
    pixels = PIL.Image.fromarray(MASK * np.uint8(index))
    pixels.putpalette([255, 255, 255] + [0, 0, 0] * 255)
    np.testing.assert_array_equal(decode_mask(saved(pixels, "PNG", bits=8), LIMITS), MASK)


def test_anti_aliased_mask_is_cut_above_127(saved: Saved) -> None:
    drawn = PIL.Image.new("L", (400, 400))
    Draw(drawn).ellipse((90, 110, 300, 280), fill=255)
    grey = np.asarray(drawn.resize((100, 100), PIL.Image.Resampling.LANCZOS))
    assert np.unique(grey).size > 20
    np.testing.assert_array_equal(decode_mask(saved(grey, "PNG"), LIMITS), (grey > 127).astype(np.uint8))


def test_boundary_of_grey_lies_between_127_with_128(saved: Saved) -> None:
    assert decode_mask(saved(np.array([[0, 127, 128, 255]], np.uint8), "PNG"), LIMITS).tolist() == [[0, 0, 1, 1]]


def test_jpeg_mask_survives_its_noise(saved: Saved) -> None:
    mask = np.kron(MASK, np.ones((5, 5), np.uint8))
    np.testing.assert_array_equal(decode_mask(saved(mask * np.uint8(255), "JPEG", quality=90), LIMITS), mask)


def test_mask_is_read_as_displayed(saved: Saved) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 6
    decoded = decode_mask(saved(MASK * np.uint8(255), "PNG", exif=exif), LIMITS)
    np.testing.assert_array_equal(decoded, MASK.T[:, ::-1])


@pytest.mark.parametrize("foreground", [0, 1, 255])
def test_uniform_mask_is_read(saved: Saved, foreground: int) -> None:
    decoded = decode_mask(saved(np.full((2, 3), foreground, np.uint8), "PNG"), LIMITS)
    assert decoded.tolist() == [[min(foreground, 1)] * 3] * 2


def test_decoded_mask_is_writable(saved: Saved) -> None:
    for factor in (1, 255):
        decode_mask(saved(MASK * np.uint8(factor), "PNG"), LIMITS)[:] = 0


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 2), (0, 60, 127), (0, 1, 255), (0, 1, 2, 3, 255), (3,)])
def test_several_labels_in_a_grey_mask_are_refused_by_name(saved: Saved, values: tuple[int, ...]) -> None:
    with pytest.raises(InvalidMask, match=f"several labels.*values found: {', '.join(map(str, values))};") as caught:
        decode_mask(saved(np.array([values], np.uint8), "PNG"), LIMITS, pointer="/masks/1")
    assert caught.value.pointer == "/masks/1"


def test_several_labels_in_a_palette_mask_are_refused_by_name(saved: Saved) -> None:
    pixels = PIL.Image.fromarray(np.array([[0, 4, 9, 4]], np.uint8))
    pixels.putpalette([value for i in range(10) for value in (i, 0, 0)])
    with pytest.raises(InvalidMask, match="palette mask; values found: 0, 4, 9;"):
        decode_mask(saved(pixels, "PNG"), LIMITS)


def test_many_values_are_named_in_part(saved: Saved) -> None:
    with pytest.raises(InvalidMask, match="values found: 0, 1, 2, 3, 4, 5, 6, 7 and 92 more;"):
        decode_mask(saved(np.arange(100, dtype=np.uint8)[None], "PNG"), LIMITS)


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("RGBA", "(0, 0, 0, 255), (255, 255, 255, 255)"),
        ("LA", "(0, 255), (255, 255)"),
        ("RGB", "(0, 0, 0), (255, 0, 0)"),
        ("CMYK", "(0, 0, 0, 0), (0, 0, 0, 255)"),
        ("I", "0, 255"),
        ("F", "0.0, 255.0"),
    ],
)
def test_mask_of_another_kind_is_refused_by_its_values(saved: Saved, mode: str, values: str) -> None:
    grey = PIL.Image.fromarray(MASK * np.uint8(255))
    black = grey.point(lambda _: 0)
    pixels = PIL.Image.merge("RGB", (grey, black, black)) if mode == "RGB" else grey.convert(mode)
    with pytest.raises(InvalidMask) as caught:
        decode_mask(saved(pixels, "TIFF"), LIMITS)
    assert f"values found: {values};" in caught.value.detail


def test_sixteen_bit_mask_is_refused_by_its_depth(saved: Saved) -> None:
    with pytest.raises(InvalidMask, match="16-bit masks are not read; values found: 0, 65535;"):
        decode_mask(saved(MASK.astype(np.uint16) * np.uint16(65535), "PNG"), LIMITS)


def test_sixteen_bit_colour_mask_is_refused_though_its_channels_are_equal(
    sixteen_bit_colour_png: Callable[[bytes], bytes],
) -> None:
    with pytest.raises(InvalidMask, match="16-bit masks are not read"):
        decode_mask(sixteen_bit_colour_png(bytes(6) + b"\xff" * 6), LIMITS)


def test_mask_of_very_many_colours_is_refused(saved: Saved) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    with pytest.raises(InvalidMask, match="values found: more than 256;"):
        decode_mask(saved(colours, "PNG"), LIMITS)


def test_mask_bytes_fail_as_image_bytes_do(saved: Saved) -> None:
    data = saved(MASK, "PNG")
    with pytest.raises(UndecodableImage):
        decode_mask(data[:-30], LIMITS)
    with pytest.raises(UnsupportedImage):
        decode_mask(b"mask", LIMITS)
    with pytest.raises(ImageTooLarge):
        decode_mask(data, ImageLimits(max_pixels=53))


@pytest.mark.parametrize("image_shape", [(6, 9), (6, 9, 3)])
def test_pair_of_one_size_passes(image_shape: tuple[int, ...]) -> None:
    check_pair(np.zeros(image_shape, np.uint8), MASK)


def test_pair_of_two_sizes_is_refused_naming_both() -> None:
    with pytest.raises(InvalidMask, match=r"mask is 6 x 9 px \(H x W\) and its image 9 x 6") as caught:
        check_pair(np.zeros((9, 6, 3), np.uint8), MASK, pointer="/masks/2")
    assert caught.value.pointer == "/masks/2"


def test_mask_that_marks_nothing_is_refused_in_a_pair() -> None:
    with pytest.raises(InvalidMask, match=r"nothing is marked .*6 x 9.*normals"):
        check_pair(np.zeros((6, 9), np.uint8), np.zeros((6, 9), np.uint8))


def test_threshold_is_exact_for_every_decimal_of_four_places() -> None:
    for i in range(10_001):
        assert threshold_level(i / 10_000) == ceil(255 * Decimal(i) / 10_000)


def test_threshold_given_as_a_level_returns_that_level() -> None:
    assert [threshold_level(level / 255) for level in range(256)] == list(range(256))


def test_threshold_free_of_noise_at_any_step_of_its_making() -> None:
    assert threshold_level(0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1) == 153
    assert threshold_level(0.1 * 3 - 0.1) == 51


@pytest.mark.parametrize(("threshold", "level"), [(0, 0), (1, 255), (0.2, 51), (0.4, 102), (0.5, 128), (1e-6, 1)])
def test_threshold_level_is_the_least_that_counts(threshold: float, level: int) -> None:
    assert threshold_level(threshold) == level
    assert mask_from_probability(np.arange(256, dtype=np.uint8), threshold).tolist() == [0] * level + [1] * (
        256 - level
    )


def test_mask_from_probability_is_a_uint8_mask() -> None:
    mask = mask_from_probability(np.array([[0, 127, 128]], np.uint8), 0.5)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("threshold", [-0.01, 1.01, nan])
def test_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(MalformedRequest, match=f"threshold={threshold}"):
        threshold_level(threshold)

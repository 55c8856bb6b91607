from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lerenet.errors import NotAcceptable
from lerenet.imaging import class_colour, encode_bilevel_png, encode_grey_png, encode_palette_png

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 30))
quickly = settings(max_examples=100, deadline=None, derandomize=True)


def opened(data: bytes) -> PIL.Image.Image:
    image = PIL.Image.open(BytesIO(data))
    image.load()
    return image


@quickly
@given(SIZES.flatmap(lambda size: hnp.arrays(np.uint8, size, elements=st.integers(0, 1))))
def test_bilevel_png_gives_identical_pixels(mask: NDArray[np.uint8]) -> None:
    image = opened(encode_bilevel_png(mask))
    assert image.mode == "1"
    np.testing.assert_array_equal(np.asarray(image.convert("L")), mask * 255)


@quickly
@given(SIZES.flatmap(lambda size: hnp.arrays(np.uint8, size)))
def test_grey_png_gives_identical_pixels(values: NDArray[np.uint8]) -> None:
    image = opened(encode_grey_png(values))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), values)


@pytest.mark.parametrize(("n_classes", "bits"), [(1, 1), (2, 2), (3, 2), (4, 4), (15, 4), (16, 8), (255, 8)])
@pytest.mark.parametrize("width", [1, 7, 8, 19])
def test_palette_png_gives_identical_indices_in_the_fewest_bits(n_classes: int, bits: int, width: int) -> None:
    labels = np.random.default_rng(0).integers(0, n_classes + 1, (5, width), dtype=np.uint8)
    data = encode_palette_png(labels, n_classes)
    image = opened(data)
    assert data[24] == bits
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), labels)


def test_palette_png_shows_each_class_in_its_colour() -> None:
    image = opened(encode_palette_png(np.arange(4, dtype=np.uint8)[None], 3)).convert("RGB")
    assert [bytes(pixel) for pixel in np.asarray(image)[0]] == [class_colour(index) for index in range(4)]


def test_class_colours_are_all_different() -> None:
    colours = [class_colour(index) for index in range(256)]
    assert colours[0] == b"\x00\x00\x00"
    assert len(set(colours)) == 256


def test_more_classes_than_a_palette_holds_are_refused() -> None:
    with pytest.raises(NotAcceptable, match="255 classes, not 256"):
        encode_palette_png(np.zeros((2, 2), np.uint8), 256)


def test_label_beyond_the_classes_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="label 3 in a map of 2 classes"):
        encode_palette_png(np.array([[3]], np.uint8), 2)


def test_encoders_take_views() -> None:
    values = np.random.default_rng(0).integers(0, 2, (20, 30), dtype=np.uint8)[::-2, 1::3]
    np.testing.assert_array_equal(np.asarray(opened(encode_bilevel_png(values)).convert("L")), values * 255)
    np.testing.assert_array_equal(np.asarray(opened(encode_grey_png(values))), values)
    np.testing.assert_array_equal(np.asarray(opened(encode_palette_png(values, 3))), values)


def test_bilevel_png_of_a_clean_frame_is_small() -> None:
    assert len(encode_bilevel_png(np.zeros((2048, 2048), np.uint8))) < 3000

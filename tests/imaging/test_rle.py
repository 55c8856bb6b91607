from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from lerenet.errors import InvalidMask
from lerenet.imaging import CocoRle, ImageLimits, Mask, decode_coco_rle, encode_coco_rle, rle_counts

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
PIXELS = SIZES.flatmap(lambda size: hnp.arrays(np.uint8, size, elements=st.integers(0, 1)))


@st.composite
def long_runs(draw: st.DrawFn) -> Mask:
    height, width = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    starts = draw(st.lists(st.integers(0, height * width), max_size=40))
    flips = np.zeros(height * width + 1, np.uint8)
    np.add.at(flips, starts, 1)
    return np.ascontiguousarray((np.cumsum(flips[:-1]) % 2).astype(np.uint8).reshape(width, height).T)


def coco_decoded(rle: CocoRle) -> Mask:
    with warnings.catch_warnings():  # pycocotools has not followed numpy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        decoded: Mask = coco.decode(rle)
    return decoded


MASKS = st.one_of(PIXELS, long_runs())
quickly = settings(max_examples=200, deadline=None, derandomize=True)


@quickly
@given(MASKS)
def test_encoding_equals_pycocotools_byte_for_byte(mask: Mask) -> None:
    expected = coco.encode(np.asfortranarray(mask))
    rle = encode_coco_rle(mask)
    assert rle["size"] == expected["size"]
    assert rle["counts"].encode() == expected["counts"]


@quickly
@given(MASKS)
def test_pycocotools_reads_what_is_encoded(mask: Mask) -> None:
    np.testing.assert_array_equal(coco_decoded(encode_coco_rle(mask)), mask)


@quickly
@given(MASKS)
def test_decoding_reads_pycocotools(mask: Mask) -> None:
    np.testing.assert_array_equal(decode_coco_rle(coco.encode(np.asfortranarray(mask))), mask)


@quickly
@given(MASKS)
def test_uncompressed_counts_equal_pycocotools(mask: Mask) -> None:
    counts = rle_counts(mask)
    height, width = mask.shape
    assert sum(counts) == height * width
    assert coco.frPyObjects({"size": [height, width], "counts": counts}, height, width) == coco.encode(
        np.asfortranarray(mask)
    )
    np.testing.assert_array_equal(decode_coco_rle({"size": [height, width], "counts": counts}), mask)


def test_counts_go_down_the_columns_background_first() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
    assert rle_counts(mask) == [0, 2, 1, 1, 2]
    assert encode_coco_rle(mask)["size"] == [2, 3]


def test_mask_larger_than_one_character_holds_equals_pycocotools() -> None:
    y, x = np.mgrid[:1500, :2100]
    mask = (((y - 700) ** 2 + (x - 900) ** 2 < 500**2) ^ (abs(y - x) < 3)).astype(np.uint8)
    assert encode_coco_rle(mask)["counts"].encode() == coco.encode(np.asfortranarray(mask))["counts"]


@pytest.mark.parametrize("foreground", [0, 1])
def test_uniform_mask_of_many_pixels_is_one_run(foreground: int) -> None:
    mask = np.full((5000, 7000), foreground, np.uint8)
    assert rle_counts(mask) == [0] * foreground + [35_000_000]
    assert encode_coco_rle(mask)["counts"].encode() == coco.encode(np.asfortranarray(mask))["counts"]


def test_mask_that_is_a_view_is_encoded_as_seen() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (12, 18), dtype=np.uint8)[::2, ::-3]
    np.testing.assert_array_equal(coco_decoded(encode_coco_rle(mask)), mask)


def test_decoded_mask_is_contiguous() -> None:
    mask = decode_coco_rle({"size": [2, 3], "counts": (0, 2, 1, 1, 2)})
    assert mask.dtype == np.uint8
    assert mask.flags.c_contiguous
    assert mask.flags.writeable


def test_runs_of_no_length_are_read() -> None:
    assert decode_coco_rle({"size": [1, 4], "counts": [1, 0, 1, 2]}).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    "size",
    [None, [], [4], [2, 2, 1], [0, 4], [-2, -2], [2.0, 2], ["2", "2"], [True, 4], "22", [10**6, 10**6], [1, 40_000]],
)
def test_size_of_another_form_is_refused(size: Any) -> None:
    with pytest.raises(InvalidMask, match="COCO RLE"):
        decode_coco_rle({"size": size, "counts": [4]})


@pytest.mark.parametrize(
    "counts",
    [
        None,
        4,
        [],
        [3],
        [5],
        [2, 1],
        [5, -1],
        [4.0],
        ["4"],
        [True, 3],
        [2**63],
        [2**62, 2**62, 2**62, 2**62, 4],
        [[4]],
        "",
        b"",
        "5",
        "T",
        "4 ",
        "4é",
        "~",
        "T" + "P" * 12 + "0",
        "O",
    ],
)
def test_counts_that_do_not_add_up_are_refused(counts: Any) -> None:
    with pytest.raises(InvalidMask, match="COCO RLE") as caught:
        decode_coco_rle({"size": [2, 2], "counts": counts}, pointer="/annotations/0")
    assert caught.value.pointer == "/annotations/0"


def test_encoding_without_its_fields_is_refused() -> None:
    with pytest.raises(InvalidMask):
        decode_coco_rle({"counts": [4]})
    with pytest.raises(InvalidMask):
        decode_coco_rle({"size": [2, 2]})


def test_size_over_the_limits_is_refused_before_expansion() -> None:
    with pytest.raises(InvalidMask, match="over the limit of 99 pixels"):
        decode_coco_rle({"size": [10, 10], "counts": [100]}, limits=ImageLimits(max_pixels=99))
    with pytest.raises(InvalidMask, match="over the limit"):
        decode_coco_rle({"size": [32_000, 32_000], "counts": [32_000 * 32_000]})


@quickly
@given(st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=30))
def test_any_text_is_read_or_refused(counts: str) -> None:
    try:
        mask = decode_coco_rle({"size": [3, 5], "counts": counts})
    except InvalidMask:
        return
    np.testing.assert_array_equal(decode_coco_rle(encode_coco_rle(mask)), mask)

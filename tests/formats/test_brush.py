from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from label_studio_sdk.converter.brush import decode_rle, encode_rle

from formats.masks import MASKS, noisy_mask, quickly, thousand
from lerenet.errors import ImageTooLarge, InvalidMask
from lerenet.formats.brush import decode_brush, encode_brush
from lerenet.imaging import ImageLimits, Mask


def encoded_by_sdk(mask: Mask) -> list[int]:
    encoded: list[int] = encode_rle(np.repeat(mask.ravel() * np.uint8(255), 4))
    return encoded


@thousand
@given(MASKS)
def test_a_mask_becomes_the_bytes_of_the_sdk_which_are_read_back(mask: Mask) -> None:
    expected = encoded_by_sdk(mask)

    assert encode_brush(mask) == expected
    assert np.array_equal(decode_brush(expected, *mask.shape), mask)


@quickly
@given(MASKS)
def test_the_sdk_reads_what_is_written(mask: Mask) -> None:
    image = np.asarray(decode_rle(encode_brush(mask))).reshape(*mask.shape, 4)

    assert np.array_equal(image, np.repeat(255 * mask[..., None], 4, axis=2))


@pytest.mark.parametrize("n_pixels", [16_383, 16_384, 16_385, 32_768, 50_000])
def test_runs_around_the_longest_length_equal_the_sdk(n_pixels: int) -> None:
    mask = np.zeros((10, n_pixels // 5 + 1), np.uint8)
    mask.ravel()[:n_pixels] = 1

    assert encode_brush(mask) == encoded_by_sdk(mask)
    assert np.array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


def test_any_alpha_but_0_is_marked() -> None:
    rgba = np.array([[9, 9, 9, 0], [0, 0, 0, 1], [0, 0, 0, 255], [9, 0, 9, 0]], np.uint8)

    assert decode_brush(encode_rle(rgba.ravel()), 2, 2).tolist() == [[0, 1], [1, 0]]


def test_literals_of_several_values_are_read() -> None:
    """The SDK writes them one by one, Label Studio's editor does not."""
    bits = (
        f"{8:032b}"
        + f"{7:05b}"
        + "0010001101111111"
        + "0"
        + "00"
        + "111"
        + "".join(f"{a:08b}" for a in (0, 0, 0, 7) * 2)
    )
    padded = bits + "0" * (-len(bits) % 8)
    rle = [int(padded[i : i + 8], 2) for i in range(0, len(padded), 8)]

    assert np.asarray(decode_rle(rle)).tolist() == [0, 0, 0, 7] * 2
    assert decode_brush(rle, 1, 2).tolist() == [[1, 1]]


def test_a_large_mask_is_encoded_in_a_few_milliseconds() -> None:
    mask = noisy_mask(1024, 1024)
    began = time.process_time()

    encode_brush(mask)

    assert time.process_time() - began < 0.2  # 0.01 on an idle machine


@pytest.mark.parametrize(
    "rle",
    [None, "abc", [], [1, 2, 3], [256], [-1], [1.0], [True] * 20, encode_brush(np.ones((2, 3), np.uint8))],
)
def test_what_is_no_brush_of_that_size_is_refused(rle: object) -> None:
    with pytest.raises(InvalidMask) as refusal:
        decode_brush(rle, 2, 2, pointer="/tasks/0")
    assert refusal.value.pointer == "/tasks/0"


def test_a_stream_that_is_cut_off_is_refused() -> None:
    with pytest.raises(InvalidMask, match="ends within"):
        decode_brush(encode_brush(np.eye(9, dtype=np.uint8))[:-3], 9, 9)


def test_blocks_of_too_many_values_are_refused() -> None:
    longer = encode_brush(np.ones((3, 3), np.uint8))
    longer[:4] = encode_brush(np.ones((2, 2), np.uint8))[:4]
    with pytest.raises(InvalidMask, match="more values"):
        decode_brush(longer, 2, 2)


def test_a_size_over_the_limits_is_refused_before_expansion() -> None:
    with pytest.raises(ImageTooLarge):
        decode_brush([0, 0, 0, 0], 30_000, 30_000)
    with pytest.raises(ImageTooLarge):
        decode_brush([0, 0, 0, 0], 10, 10, limits=ImageLimits(max_pixels=99))

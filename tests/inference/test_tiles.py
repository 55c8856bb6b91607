from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerenet.inference.tiles import cut_frame, cut_side, pad_up

SIDES = st.integers(1, 600).map(lambda n: 16 * n)


@given(SIDES)
def test_windows_cover_the_side(side: int) -> None:
    axis = cut_side(side, tile_px=512, overlap_px=64, multiple=16)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.length == side
    assert axis.length <= 512


@given(SIDES)
def test_neighbouring_windows_overlap_by_the_least_overlap(side: int) -> None:
    axis = cut_side(side, tile_px=512, overlap_px=64, multiple=16)
    steps = np.diff(axis.starts)
    assert (steps > 0).all()
    assert (steps <= axis.length - 64).all()


@given(SIDES)
def test_windows_start_on_the_stride(side: int) -> None:
    axis = cut_side(side, tile_px=500, overlap_px=50, multiple=16)
    assert all(start % 16 == 0 for start in (*axis.starts, axis.length))


@given(SIDES)
def test_weights_add_to_one_at_every_pixel(side: int) -> None:
    axis = cut_side(side, tile_px=512, overlap_px=64, multiple=16)
    total = np.zeros(side)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        total[start : start + axis.length] += weights
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


@given(SIDES)
def test_tiles_waste_little_beyond_their_overlap(side: int) -> None:
    axis = cut_side(side, tile_px=512, overlap_px=64, multiple=16)
    n = len(axis.starts)
    assert n * axis.length < side + (n - 1) * 64 + n * 16


def test_ramps_are_linear_in_a_plain_overlap() -> None:
    axis = cut_side(960, tile_px=512, overlap_px=64, multiple=16)
    assert axis.starts == (0, 448)
    np.testing.assert_allclose(axis.weights[1][:64], (np.arange(64) + 0.5) / 64, atol=1e-6)
    np.testing.assert_allclose(axis.weights[1][64:], 1.0)


def test_frame_that_fits_is_one_tile() -> None:
    grid = cut_frame((512, 208), multiple=16)
    (tile,) = grid.tiles
    assert (tile.top, tile.left, tile.height, tile.width) == (0, 0, 512, 208)


def test_tiles_come_row_by_row() -> None:
    tiles = cut_frame((1024, 1024), tile_px=512, overlap_px=64, multiple=16).tiles
    assert [(t.top, t.left) for t in tiles] == sorted((t.top, t.left) for t in tiles)
    assert len(tiles) == 9
    assert len({(t.height, t.width) for t in tiles}) == 1


@given(SIDES, SIDES)
def test_shares_of_all_tiles_add_to_one(height: int, width: int) -> None:
    grid = cut_frame((height, width), tile_px=512, overlap_px=64, multiple=16)
    assert sum(grid.share(index) for index in range(len(grid.tiles))) == pytest.approx(1.0, abs=1e-5)


def test_side_that_is_no_multiple_names_the_size_to_pad_to() -> None:
    with pytest.raises(ValueError, match="pad it to 208 px"):
        cut_frame((200, 208), multiple=16)


def test_tile_smaller_than_two_overlaps_names_the_least_size() -> None:
    with pytest.raises(ValueError, match="use 128 px or more"):
        cut_frame((512, 512), tile_px=112, overlap_px=64, multiple=16)


@pytest.mark.parametrize(("length", "padded"), [(1, 16), (16, 16), (17, 32), (200, 208)])
def test_padding_goes_up_to_the_next_multiple(length: int, padded: int) -> None:
    assert pad_up(length, 16) == padded

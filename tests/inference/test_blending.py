from __future__ import annotations

import numpy as np
import pytest
import torch

from lerenet.inference.blending import BlendedMap
from lerenet.inference.geometry import enlarge, to_probability, working_size
from lerenet.inference.tiles import TileGrid, cut_frame


def grid_of(size: tuple[int, int], ratio: int) -> TileGrid:
    return cut_frame(working_size(size, ratio, 16), tile_px=96, overlap_px=32, multiple=16)


@pytest.mark.parametrize("ratio", [1, 2, 4])
@pytest.mark.parametrize("size", [(200, 200), (1000, 700), (77, 1201), (1201, 77)])
def test_tiles_of_one_surface_join_without_seams(ratio: int, size: tuple[int, int]) -> None:
    grid = grid_of(size, ratio)
    generator = torch.Generator().manual_seed(0)
    surface = 3 * torch.randn(grid.rows.side, grid.columns.side, generator=generator)
    blended = BlendedMap(grid, size, ratio)
    for index, tile in enumerate(grid.tiles):
        blended.add(index, surface[tile.top : tile.bottom, tile.left : tile.right])
    expected = to_probability(enlarge(surface[None], ratio))[0, : size[0], : size[1]]
    assert np.abs(blended.q.astype(int) - expected).max() <= 1
    assert np.mean(blended.q != expected) < 1e-3


def test_logits_mix_in_a_linear_ramp_across_an_overlap() -> None:
    grid = cut_frame((64, 160), tile_px=96, overlap_px=32, multiple=16)
    blended = BlendedMap(grid, (64, 160), 1)
    blended.add(0, torch.full((64, 96), -2.0))
    blended.add(1, torch.full((64, 96), 2.0))
    share = (np.arange(32) + 0.5) / 32
    expected = np.round(255 / (1 + np.exp(-(4 * share - 2))))
    assert np.abs(blended.q[10, 64:96] - expected).max() <= 1
    assert len(set(blended.q[:, 80])) == 1


def test_map_of_one_tile_is_written_at_once() -> None:
    blended = BlendedMap(grid_of((50, 60), 1), (50, 60), 1)
    assert blended.is_single
    q = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    blended.write(q)
    np.testing.assert_array_equal(blended.q, q[:50, :60])


def test_map_of_one_tile_may_also_be_added() -> None:
    blended = BlendedMap(grid_of((50, 60), 1), (50, 60), 1)
    blended.add(0, torch.zeros(64, 64))
    assert (blended.q == 128).all()


def test_tile_out_of_order_is_refused() -> None:
    grid = grid_of((500, 500), 1)
    tile = grid.tiles[1]
    with pytest.raises(ValueError, match="tile 0 is next"):
        BlendedMap(grid, (500, 500), 1).add(1, torch.zeros(tile.height, tile.width))


def test_logits_are_left_as_they_were() -> None:
    grid = grid_of((500, 500), 1)
    logits = torch.ones(grid.tiles[0].height, grid.tiles[0].width)
    BlendedMap(grid, (500, 500), 1).add(0, logits)
    assert (logits == 1).all()

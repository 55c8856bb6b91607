from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lerenet.inference.crops import (
    MAX_CROPS,
    MAX_CROPS_PER_SHOT,
    crops_per_image,
    cut_normals,
    cut_support,
    mask_of,
    shrink_mask,
)
from lerenet.inference.tiles import Tile

if TYPE_CHECKING:
    from lerenet.imaging import Mask


def mask_with(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Mask:
    """A mask of boxes (top, left, height, width)."""
    mask = np.zeros(size, np.uint8)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = 1
    return mask


def seen(mask: Mask, tiles: list[Tile]) -> int:
    shown = np.zeros_like(mask)
    for tile in tiles:
        shown[tile.top : tile.bottom, tile.left : tile.right] = 1
    return int((mask & shown).sum())


def cut_512(mask: Mask, max_crops: int = 4) -> list[Tile]:
    return cut_support(mask, side_px=512, multiple=16, max_crops=max_crops)


@pytest.mark.parametrize("n_images", [1, 5, 10, 32, 500])
def test_crops_of_a_class_stay_few(n_images: int) -> None:
    per_image = crops_per_image(n_images)
    assert 1 <= per_image <= MAX_CROPS_PER_SHOT
    assert per_image == 1 or per_image * n_images <= MAX_CROPS


def test_small_image_is_seen_whole() -> None:
    assert cut_512(mask_with((200, 180), (50, 50, 9, 9))) == [Tile(0, 0, 208, 192)]


def test_image_of_just_the_side_is_seen_whole() -> None:
    assert cut_512(mask_with((512, 512), (50, 50, 9, 9))) == [Tile(0, 0, 512, 512)]


def test_large_image_is_seen_around_its_defect() -> None:
    (tile,) = cut_512(mask_with((3000, 4000), (1000, 2000, 20, 30)))
    assert (tile.height, tile.width) == (512, 512)
    assert abs(tile.top + 256 - 1010) <= 1
    assert abs(tile.left + 256 - 2015) <= 1


def test_crop_at_the_border_stays_inside() -> None:
    (tile,) = cut_512(mask_with((3000, 4000), (2990, 0, 10, 10)))
    assert (tile.top, tile.left) == (3000 - 512, 0)


def test_far_regions_get_a_crop_each_largest_first() -> None:
    mask = mask_with((3000, 3000), (100, 100, 20, 20), (2000, 2500, 40, 40))
    first, second = cut_512(mask)
    assert first.top > 1000 > second.top
    assert seen(mask, [first, second]) == mask.sum()


def test_near_regions_share_a_crop() -> None:
    assert len(cut_512(mask_with((3000, 3000), (1000, 1000, 20, 20), (1100, 1100, 20, 20)))) == 1


def test_region_larger_than_a_crop_gets_several() -> None:
    mask = mask_with((3000, 3000), (1000, 100, 30, 1200))
    tiles = cut_512(mask)
    assert len(tiles) == 3
    assert seen(mask, tiles) == mask.sum()


def test_many_regions_get_no_more_crops_than_allowed() -> None:
    boxes = [(row, column, 5, 5) for row in range(100, 4000, 700) for column in range(100, 4000, 700)]
    assert len(cut_512(mask_with((4000, 4000), *boxes), max_crops=3)) == 3


def test_crop_of_a_narrow_image_is_as_narrow() -> None:
    (tile,) = cut_512(mask_with((100, 2000), (50, 1000, 10, 10)))
    assert (tile.height, tile.width) == (112, 512)


def test_shrunken_mask_marks_cells_half_covered() -> None:
    mask = mask_with((8, 8), (0, 0, 4, 4), (4, 4, 2, 4), (0, 4, 1, 4))
    np.testing.assert_array_equal(shrink_mask(mask, 4), [[1, 0], [0, 1]])


def test_shrunken_mask_keeps_the_best_of_a_hair() -> None:
    mask = mask_with((64, 64), (10, 0, 1, 40))
    small = shrink_mask(mask, 8)
    np.testing.assert_array_equal(np.argwhere(small), [[1, column] for column in range(5)])


def test_shrunken_empty_mask_stays_empty() -> None:
    assert not shrink_mask(np.zeros((30, 30), np.uint8), 4).any()


def test_shrunken_mask_covers_a_broken_cell() -> None:
    assert shrink_mask(np.ones((9, 10), np.uint8), 4).tolist() == [[1, 1, 1]] * 3


def test_mask_of_a_window_ignores_what_lies_beyond_the_image() -> None:
    part = mask_of(np.ones((20, 18), np.uint8), Tile(0, 0, 32, 32))
    assert (part[:20, :18] == 1).all()
    assert (part[20:] == 255).all()
    assert (part[:, 18:] == 255).all()


def test_normals_of_many_sizes_are_cut_to_one_that_fits_all() -> None:
    cuts = cut_normals([(200, 300), (1000, 130)], side_px=512, multiple=16, max_crops=4)
    tiles = [tile for tiles in cuts for tile in tiles]
    assert {(tile.height, tile.width) for tile in tiles} == {(192, 128)}
    assert all(tile.bottom <= 200 and tile.right <= 300 for tile in cuts[0])
    assert all(tile.bottom <= 1000 and tile.right <= 130 for tile in cuts[1])


def test_large_normal_is_seen_in_several_places() -> None:
    (tiles,) = cut_normals([(4000, 4000)], side_px=512, multiple=16, max_crops=4)
    assert len({tile.top for tile in tiles}) == len({tile.left for tile in tiles}) == 4


def test_normal_that_fits_is_seen_once() -> None:
    assert cut_normals([(208, 208)], side_px=512, multiple=16, max_crops=4) == [[Tile(0, 0, 208, 208)]]


def test_normal_smaller_than_the_stride_is_padded() -> None:
    ((tile,),) = cut_normals([(9, 40)], side_px=512, multiple=16, max_crops=1)
    assert (tile.top, tile.height, tile.width) == (0, 16, 32)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from pycocotools import mask as coco

from formats.masks import MASKS, noisy_mask, quickly, thousand
from lerenet.errors import NotAcceptable
from lerenet.formats.outlines import mask_to_polygons
from lerenet.formats.polygons import fill_polygons
from lerenet.imaging import Mask


def drawn(*rows: str) -> Mask:
    return np.array([[pixel == "#" for pixel in row] for row in rows], np.uint8)


@thousand
@given(MASKS)
def test_filled_outlines_give_the_mask_back(mask: Mask) -> None:
    assert np.array_equal(fill_polygons(mask_to_polygons(mask), *mask.shape), mask)


@quickly
@given(MASKS)
def test_outlines_follow_pixel_edges(mask: Mask) -> None:
    for polygon in mask_to_polygons(mask):
        corners = np.array(polygon).reshape(-1, 2)
        steps = np.roll(corners, -1, axis=0) - corners
        assert np.all((steps == 0).any(axis=1))


def test_a_rectangle_has_four_corners() -> None:
    assert mask_to_polygons(drawn("....", ".##.", ".##.")) == [[1, 1, 3, 1, 3, 3, 1, 3]]


def test_pixels_that_touch_by_their_tips_are_apart() -> None:
    assert mask_to_polygons(drawn("#.", ".#")) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]


def test_a_hole_is_reached_over_a_bridge() -> None:
    ring = drawn("###", "#.#", "###")
    [polygon] = mask_to_polygons(ring)

    assert polygon == [0, 0, 3, 0, 3, 3, 0, 3, 0, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 0, 1]


def test_holes_behind_one_another_keep_what_is_in_them() -> None:
    mask = drawn("###########", "#...##...##", "#.#.##.#.##", "#...##...##", "###########")

    polygons = mask_to_polygons(mask)

    assert len(polygons) == 3
    assert np.array_equal(fill_polygons(polygons, *mask.shape), mask)


def test_an_empty_mask_has_no_outline() -> None:
    assert mask_to_polygons(np.zeros((5, 7), np.uint8)) == []


def test_a_large_mask_comes_back() -> None:
    mask = noisy_mask(300, 400)

    assert np.array_equal(fill_polygons(mask_to_polygons(mask), *mask.shape), mask)


def test_noise_is_refused() -> None:
    noise = np.indices((1_000, 1_000)).sum(axis=0, dtype=np.uint8) & 1

    with pytest.raises(NotAcceptable, match="min_area_px"):
        mask_to_polygons(noise)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_tools_fill_outlines_to_the_same_mask() -> None:
    mask = drawn("........", ".######.", ".#....#.", ".#.##.#.", ".#....#.", ".######.", "........")

    filled = coco.decode(coco.merge(coco.frPyObjects(mask_to_polygons(mask), *mask.shape)))

    assert np.array_equal(filled, mask)

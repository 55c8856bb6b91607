from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lerenet.inference.regions import class_score, find_regions, read_map

if TYPE_CHECKING:
    from numpy.typing import NDArray


def plate() -> NDArray[np.uint8]:
    """Two regions above one half, 6 px and 2 px, the small one surer; and a faint pixel."""
    q = np.zeros((10, 12), np.uint8)
    q[2:4, 3:6] = 153  # p = 0.6
    q[7, 9] = q[8, 10] = 255  # touch at a corner
    q[0, 0] = 51
    return q


def test_regions_are_eight_connected_boxes_largest_first() -> None:
    _, regions = find_regions(plate(), 0.5)
    assert [(r.bbox, r.area_px) for r in regions] == [((3, 2, 3, 2), 6), ((9, 7, 2, 2), 2)]


def test_score_of_a_region_is_its_mean_probability() -> None:
    _, regions = find_regions(plate(), 0.5)
    assert [r.score for r in regions] == pytest.approx([0.6, 1.0])


def test_score_of_a_mixed_region_counts_every_pixel() -> None:
    q = np.zeros((4, 4), np.uint8)
    q[1, 1:4] = (204, 255, 153)
    (region,) = find_regions(q, 0.5)[1]
    assert region.score == pytest.approx(0.8)


def test_small_regions_leave_the_mask() -> None:
    mask, regions = find_regions(plate(), 0.5, min_area_px=3)
    assert [r.area_px for r in regions] == [6]
    assert mask.sum() == 6


def test_region_of_exactly_the_least_area_stays() -> None:
    assert len(find_regions(plate(), 0.5, min_area_px=2)[1]) == 2


def test_mask_is_the_cut_of_the_map() -> None:
    mask, _ = find_regions(plate(), 0.2)
    np.testing.assert_array_equal(mask, plate() >= 51)


def test_map_is_left_as_it_was() -> None:
    q = plate()
    find_regions(q, 0.5, min_area_px=100)
    np.testing.assert_array_equal(q, plate())


def test_class_score_is_that_of_the_surest_region() -> None:
    _, regions = find_regions(plate(), 0.5)
    assert class_score(plate(), regions) == pytest.approx(1.0)


def test_class_score_without_regions_is_the_highest_probability() -> None:
    assert class_score(np.full((3, 3), 51, np.uint8), []) == pytest.approx(0.2)


def test_answer_adds_up_its_regions() -> None:
    found = read_map(plate(), 0.5)
    assert found.area_px == 8
    assert found.area_fraction == pytest.approx(8 / 120)
    assert found.bbox == (3, 2, 8, 7)
    assert found.mask.sum() == 8


def test_answer_for_a_clean_plate_marks_nothing() -> None:
    found = read_map(np.full((5, 6), 26, np.uint8), 0.5)
    assert (found.regions, found.area_px, found.bbox) == ((), 0, None)
    assert found.mask.shape == (5, 6)
    assert not found.mask.any()


def test_answer_for_a_full_map_is_one_region() -> None:
    found = read_map(np.full((5, 6), 255, np.uint8), 0.5)
    assert found.bbox == (0, 0, 6, 5)
    assert found.score == 1.0
    assert found.area_fraction == 1.0

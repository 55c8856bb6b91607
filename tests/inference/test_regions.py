from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lerenet.inference.confidence import Confidence
from lerenet.inference.regions import MaskRule, mark_regions, read_map

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
    regions = read_map(plate(), MaskRule(0.5)).regions
    assert [(r.bbox, r.area_px) for r in regions] == [((3, 2, 3, 2), 6), ((9, 7, 2, 2), 2)]


def test_score_of_a_region_is_its_mean_probability_without_calibration() -> None:
    regions = read_map(plate(), MaskRule(0.5)).regions
    assert [r.score for r in regions] == pytest.approx([0.6, 1.0], abs=0.002)


def test_score_of_a_mixed_region_counts_every_pixel() -> None:
    q = np.zeros((4, 4), np.uint8)
    q[1, 1:4] = (204, 255, 153)
    (region,) = read_map(q, MaskRule(0.5)).regions
    assert region.score == pytest.approx(0.8)


def test_score_counts_area_at_the_working_scale() -> None:
    q = np.full((8, 8), 128, np.uint8)
    (region,) = read_map(q, MaskRule(0.5, confidence=Confidence(0.0, 0.0, 1.0), scale=0.25)).regions
    assert region.score == pytest.approx(4 / 5)  # 64 px are 4 at a quarter


def test_score_does_not_depend_on_where_a_region_lies() -> None:
    rule = MaskRule(0.5, confidence=Confidence(-1.0, 0.6, 0.2))
    alone, beside = np.zeros((20, 20), np.uint8), np.full((50, 50), 20, np.uint8)
    alone[2:6, 3:9] = beside[40:44, 1:7] = 200
    beside[5:30, 20:45] = 250
    assert read_map(alone, rule).regions[0].score == read_map(beside, rule).regions[1].score


def test_small_regions_leave_the_mask() -> None:
    found = read_map(plate(), MaskRule(0.5, min_area_px=3))
    assert [r.area_px for r in found.regions] == [6]
    assert found.mask.sum() == 6


def test_region_of_exactly_the_least_area_stays() -> None:
    assert len(read_map(plate(), MaskRule(0.5, min_area_px=2)).regions) == 2


def test_unsure_regions_leave_the_mask() -> None:
    found = read_map(plate(), MaskRule(0.5, min_score=0.7))
    assert [r.area_px for r in found.regions] == [2]
    assert found.mask.sum() == 2


def test_region_of_exactly_the_least_score_stays() -> None:
    least = read_map(plate(), MaskRule(0.5)).regions[0].score
    assert len(read_map(plate(), MaskRule(0.5, min_score=least)).regions) == 2


def test_mask_is_the_cut_of_the_map() -> None:
    np.testing.assert_array_equal(read_map(plate(), MaskRule(0.2)).mask, plate() >= 51)


def test_map_is_left_as_it_was() -> None:
    q = plate()
    read_map(q, MaskRule(0.5, min_area_px=100))
    np.testing.assert_array_equal(q, plate())


def test_class_score_is_that_of_the_surest_region() -> None:
    assert read_map(plate(), MaskRule(0.5)).score == pytest.approx(1.0, abs=0.002)


def test_class_score_remembers_a_region_that_was_dropped() -> None:
    assert read_map(plate(), MaskRule(0.5, min_score=1.0)).score == pytest.approx(1.0, abs=0.002)


def test_class_score_without_regions_is_that_of_the_surest_pixel() -> None:
    assert read_map(np.full((3, 3), 51, np.uint8), MaskRule(0.5)).score == pytest.approx(0.2)


def test_hits_count_the_pixels_of_each_region_on_the_truth() -> None:
    found = mark_regions(plate(), 0.5)
    truth = np.zeros_like(plate())
    truth[2, :5], truth[8, 10], truth[7, 9] = 1, 1, 255
    assert found.hits_px(truth).tolist() == [2, 1]


def test_answer_adds_up_its_regions() -> None:
    found = read_map(plate(), MaskRule(0.5))
    assert found.area_px == 8
    assert found.area_fraction == pytest.approx(8 / 120)
    assert found.bbox == (3, 2, 8, 7)
    assert found.mask.sum() == 8


def test_answer_for_a_clean_plate_marks_nothing() -> None:
    found = read_map(np.full((5, 6), 26, np.uint8), MaskRule(0.5))
    assert (found.regions, found.area_px, found.bbox) == ((), 0, None)
    assert found.mask.shape == (5, 6)
    assert not found.mask.any()


def test_answer_for_a_full_map_is_one_region() -> None:
    found = read_map(np.full((5, 6), 255, np.uint8), MaskRule(0.5))
    assert found.bbox == (0, 0, 6, 5)
    assert found.score == pytest.approx(1.0, abs=0.002)
    assert found.area_fraction == 1.0


MAPS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 90, 127, 128, 130, 200, 255]))
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(MAPS, st.integers(0, 6), st.sampled_from([0.0, 0.55, 0.8]), st.sampled_from([0.0, 0.5, 1.0]))
def test_answer_is_what_walking_from_pixel_to_pixel_finds(
    q: NDArray[np.uint8], min_area_px: int, min_score: float, threshold: float
) -> None:
    rule = MaskRule(threshold, min_area_px, min_score, Confidence(-0.3, 0.7, 0.2), 0.5)
    found = read_map(q, rule)
    regions = walked(q, round(255 * threshold + 0.4))
    areas = np.array([len(region) for region in regions], float)
    means = np.array([sum(int(q[place]) for place in region) / (255 * len(region)) for region in regions])
    scores = rule.scores(means, areas).tolist()
    kept = [(r, s) for r, s in zip(regions, scores, strict=True) if len(r) >= min_area_px and s >= min_score]
    expected = [(around(region), len(region), score) for region, score in sorted(kept, key=lambda each: -len(each[0]))]
    assert [(r.bbox, r.area_px, r.score) for r in found.regions] == expected
    assert found.score == max(scores, default=rule.scores(np.array([q.max() / 255]), np.ones(1))[0])
    everything = sorted(place for region, _ in kept for place in region)
    assert list(zip(*map(np.ndarray.tolist, found.mask.nonzero()), strict=True)) == everything
    assert found.area_px == len(everything)
    assert found.bbox == (around(everything) if everything else None)


def walked(q: NDArray[np.uint8], level: int) -> list[list[tuple[int, int]]]:
    """Pixels (y, x) of each 8-connected region, in the order of their first ones."""
    left = {(y, x) for y, x in np.ndindex(q.shape) if q[y, x] >= level}
    regions = []
    while left:
        region = [min(left)]
        left.remove(region[0])
        for y, x in region:
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            region.extend(near)
            left -= near
        regions.append(region)
    return regions


def around(region: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    rows, columns = {y for y, _ in region}, {x for _, x in region}
    return min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1

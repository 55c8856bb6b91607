from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lerenet.imaging import mask_from_probability, overlap
from lerenet.inference.assessment import ALARM_PX, GRID, RegionTally
from lerenet.inference.confidence import PLAIN, Confidence

Map = NDArray[np.uint8]
SIDE = 40


def field(*spots: tuple[int, int, int, int], background: int = 0) -> Map:
    """A map of one level with square spots: (top, left, side, level)."""
    q = np.full((SIDE, SIDE), background, np.uint8)
    for top, left, side, level in spots:
        q[top : top + side, left : left + side] = level
    return q


def truth(*spots: tuple[int, int, int]) -> Map:
    return field(*((top, left, side, 1) for top, left, side in spots))


def tally_of(*pairs: tuple[Map, Map], normals: tuple[Map, ...] = (), ratio: int = 1) -> RegionTally:
    tally = RegionTally(ratio)
    for q, mask in pairs:
        tally.add(q, mask)
    for q in normals:
        tally.add_normal([q])
    return tally


CLEAR = (field((5, 5, 8, 250), background=10), truth((5, 5, 8)))


def test_iou_is_that_of_the_cut_mask() -> None:
    rng = np.random.default_rng(0)
    q, mask = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8), rng.integers(0, 2, (SIDE, SIDE), dtype=np.uint8)
    best = max(overlap(mask_from_probability(q, threshold), mask).iou for threshold in GRID)
    found = tally_of((q, mask)).assess().loo_iou
    assert found is not None
    assert found >= best - 0.01


def test_ignored_pixels_do_not_count() -> None:
    q, mask = field((5, 5, 8, 250), (20, 20, 8, 250)), truth((5, 5, 8))
    mask[20:28, 20:28] = 255
    assert tally_of((q, mask)).assess().loo_iou == 1.0


def test_threshold_separates_defect_from_background() -> None:
    assessment = tally_of((field((5, 5, 8, 60), background=40), truth((5, 5, 8)))).assess()
    assert (assessment.threshold, assessment.loo_iou) == (0.2, 1.0)


def test_threshold_of_equals_is_the_one_nearest_to_one_half() -> None:
    assert tally_of(CLEAR).assess().threshold == 0.5


def test_threshold_gives_way_to_one_half_within_the_indifference() -> None:
    q, mask = field((0, 0, 30, 250), background=5), truth((0, 0, 30))
    q[0, :5] = 80  # lost from 0.35 on: an IoU of 895 / 900
    assessment = tally_of((q, mask)).assess()
    assert assessment.threshold == 0.5
    assert assessment.loo_iou == pytest.approx(895 / 900)


def test_class_that_is_never_found_gets_a_threshold_of_the_grid() -> None:
    assessment = tally_of((field(), truth((5, 5, 8)))).assess()
    assert assessment.threshold in GRID
    assert assessment.loo_iou == 0.0


def test_unsure_regions_beside_the_defect_are_dropped() -> None:
    """No threshold parts them, for the defect's rim is as faint as they are; their scores do."""
    faint = [(2 * i, 30, 1, 150) for i in range(10)]
    q = field((5, 5, 16, 150), (6, 6, 14, 250), *faint, background=5)
    assessment = tally_of((q, truth((5, 5, 16)))).assess(Confidence(-2.0, 1.0, 0.5))
    assert assessment.loo_iou == 1.0
    assert assessment.min_score > 0


def test_normals_raise_the_least_score_over_what_they_show() -> None:
    shot = (field((5, 5, 20, 250), (30, 30, 4, 150)), truth((5, 5, 20), (30, 30, 4)))  # 16 of its 416 pixels are faint
    normal, prior = field((10, 10, 6, 150)), Confidence(2.0, 1.0, 0.0)
    assert tally_of(shot).assess(prior).loo_iou == 1.0
    assessment = tally_of(shot, normals=(normal,)).assess(prior)
    assert assessment.confidence.scores(np.array([150 / 255]), np.array([36.0]))[0] < assessment.min_score
    assert assessment.loo_iou == pytest.approx(400 / 416)


def test_normals_cost_the_shots_no_more_than_the_allowance() -> None:
    normal = field((10, 10, 8, 250))  # exactly what the defect looks like
    assert tally_of(CLEAR, normals=(normal,)).assess().loo_iou == 1.0


@pytest.mark.parametrize(("ratio", "is_alarm"), [(1, False), (2, True)])
def test_alarm_is_a_region_of_enough_original_pixels(ratio: int, is_alarm: bool) -> None:
    normal = field((10, 10, 5, 190))
    assert normal.astype(bool).sum() == ALARM_PX
    found = tally_of(CLEAR, normals=(normal,) * 3, ratio=ratio).assess(Confidence(2.0, 1.0, 0.0))
    score = found.confidence.scores(np.array([190 / 255]), np.array([25.0]))[0]
    assert score > 0.5  # so that nothing but the alarm moves the least score
    assert (score < found.min_score) == is_alarm


def test_false_regions_on_normals_lower_what_regions_score() -> None:
    normals = tuple(field((5 * n, 5, 4, 250)) for n in range(1, 6))
    doubted = tally_of(CLEAR, normals=normals).assess().confidence
    assert doubted.bias < tally_of(CLEAR).assess().confidence.bias
    assert doubted[1:] == PLAIN[1:]


def test_confidence_of_a_tally_without_regions_is_the_prior() -> None:
    prior = Confidence(-1.0, 0.6, 0.1)
    assert tally_of((field(), truth((5, 5, 8)))).assess(prior).confidence == pytest.approx(prior)


def test_shots_that_were_seen_choose_a_threshold_without_vouching_for_scores() -> None:
    tally = RegionTally(is_unseen=False)
    tally.add(field((5, 5, 8, 60), background=40), truth((5, 5, 8)))
    assessment = tally.assess()
    assert (assessment.threshold, assessment.loo_iou) == (0.2, None)
    assert assessment.confidence == pytest.approx(PLAIN)


def test_grid_goes_by_twentieths() -> None:
    assert GRID[0] == 0.05
    assert GRID[-1] == 0.95
    assert len(GRID) == 19

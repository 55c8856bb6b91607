from __future__ import annotations

import numpy as np
import pytest

from lerenet.imaging import mask_from_probability, overlap
from lerenet.inference.assessment import GRID, Assessment, ProbabilityTally


def tally_of(q: list[int], mask: list[int]) -> ProbabilityTally:
    tally = ProbabilityTally()
    tally.add(np.array(q, np.uint8), np.array(mask, np.uint8))
    return tally


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.5, 0.95])
def test_counts_are_those_of_the_cut_mask(threshold: float) -> None:
    rng = np.random.default_rng(0)
    q, mask = rng.integers(0, 256, (40, 50), dtype=np.uint8), rng.integers(0, 2, (40, 50), dtype=np.uint8)
    tally = ProbabilityTally()
    tally.add(q[:15], mask[:15])
    tally.add(q[15:], mask[15:])
    assert tally.counts(threshold) == overlap(mask_from_probability(q, threshold), mask)


def test_ignored_pixels_do_not_count() -> None:
    counts = tally_of([255, 255, 0], [1, 255, 255]).counts(0.5)
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (1, 0, 0, 0)


def test_threshold_separates_defect_from_background() -> None:
    assessment = tally_of([60] * 10 + [40] * 90, [1] * 10 + [0] * 90).assess()
    assert assessment == Assessment(0.2, 1.0)


def test_threshold_of_equals_is_the_one_nearest_to_one_half() -> None:
    assert tally_of([250] * 10 + [10] * 90, [1] * 10 + [0] * 90).assess() == Assessment(0.5, 1.0)


def test_threshold_gives_way_to_one_half_within_the_indifference() -> None:
    # Every grid value up to 0.3 finds all 1000, from 0.35 on 5 are lost: an IoU of 0.995.
    assessment = tally_of([250] * 995 + [80] * 5 + [5] * 100, [1] * 1000 + [0] * 100).assess()
    assert assessment.threshold == 0.5
    assert assessment.loo_iou == pytest.approx(0.995)


def test_threshold_between_two_equally_near_is_the_higher() -> None:
    # 0.45 loses nothing but marks 4 % too much, 0.5 is bad, 0.55 marks nothing too much but loses 4 %.
    q = [150] * 96 + [120] * 4 + [118] * 4 + [130] * 0
    tally = tally_of(q, [1] * 100 + [0] * 4)
    assert tally.counts(0.45).iou == pytest.approx(100 / 104)
    assert tally.counts(0.55).iou == pytest.approx(0.96)
    assert tally.assess().threshold == 0.5


def test_threshold_of_a_class_that_is_never_found_is_of_the_grid() -> None:
    assessment = tally_of([0] * 10, [1] * 5 + [0] * 5).assess()
    assert assessment.threshold in GRID
    assert assessment.loo_iou == 0.0


def test_grid_goes_by_twentieths() -> None:
    assert GRID[0] == 0.05
    assert GRID[-1] == 0.95
    assert len(GRID) == 19

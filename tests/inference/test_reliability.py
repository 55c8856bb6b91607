from __future__ import annotations

import numpy as np
import pytest

from lerenet.inference.reliability import ScoreBins, judge_regions


def bins(*regions: tuple[float, bool]) -> ScoreBins:
    scores, is_right = zip(*regions, strict=True)
    return ScoreBins.of(np.array(scores), np.array(is_right))


def test_bins_count_regions_by_their_score() -> None:
    found = bins((0.05, False), (0.31, True), (0.39, False), (1.0, True))
    assert found.n_regions == (1, 0, 0, 2, 0, 0, 0, 0, 0, 1)
    assert found.n_right == (0, 0, 0, 1, 0, 0, 0, 0, 0, 1)


def test_error_is_zero_where_scores_keep_their_word() -> None:
    assert bins(*[(0.75, True)] * 3, (0.75, False)).error == pytest.approx(0.0)


def test_error_weighs_bins_by_their_regions() -> None:
    # Three regions promise 0.9 and none is right; one promises 0.2 and is.
    assert bins(*[(0.9, False)] * 3, (0.2, True)).error == pytest.approx((3 * 0.9 + 0.8) / 4)


def test_error_of_no_regions_is_unknown() -> None:
    assert ScoreBins().error is None


def test_bins_add_up_to_those_of_all_regions() -> None:
    one, other = [(0.15, True), (0.95, True)], [(0.12, False)]
    together, added = bins(*one, *other), bins(*one) + bins(*other)
    assert (added.n_regions, added.n_right) == (together.n_regions, together.n_right)
    assert added.score_sums == pytest.approx(together.score_sums)


def test_points_are_those_of_filled_bins() -> None:
    ((score, share, n),) = bins((0.62, True), (0.68, False)).points()
    assert (score, share, n) == (pytest.approx(0.65), 0.5, 2)  # type: ignore[comparison-overlap]


def test_region_is_right_from_half_of_its_pixels_on() -> None:
    assert judge_regions(np.array([4, 5, 6]), np.array([10, 10, 10])).tolist() == [False, True, True]

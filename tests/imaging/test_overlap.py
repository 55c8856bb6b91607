from __future__ import annotations

import numpy as np
import pytest

from lerenet.imaging import OverlapCounts, overlap

PREDICTION = np.array([[1, 1, 0], [0, 0, 1]], np.uint8)
TARGET = np.array([[1, 0, 0], [1, 0, 1]], np.uint8)


def test_overlap_counts_each_kind_of_pixel() -> None:
    counts = overlap(PREDICTION, TARGET)
    assert counts == OverlapCounts(tp=2, fp=1, fn=1, tn=2)
    assert (counts.intersection, counts.union) == (2, 4)
    assert all(type(value) is int for value in (counts.tp, counts.fp, counts.fn, counts.tn))


def test_overlap_leaves_ignored_pixels_out() -> None:
    ignore = np.array([[0, 1, 0], [0, 1, 0]], np.uint8)
    assert overlap(PREDICTION, TARGET, ignore) == OverlapCounts(tp=2, fp=0, fn=1, tn=1)


def test_overlap_counts_add_up() -> None:
    total = sum([OverlapCounts(1, 2, 3, 4), OverlapCounts(10, 20, 30, 40)], OverlapCounts())
    assert total == OverlapCounts(11, 22, 33, 44)


def test_iou_is_intersection_over_union() -> None:
    counts = OverlapCounts(tp=2, fp=1, fn=5, tn=6)
    assert counts.iou == pytest.approx(2 / 8)
    assert counts.background_iou == pytest.approx(6 / 12)


def test_iou_of_two_empty_masks_is_one() -> None:
    empty = np.zeros((3, 3), np.uint8)
    assert overlap(empty, empty).iou == 1
    assert overlap(1 - empty, 1 - empty).background_iou == 1


def test_iou_of_a_false_alarm_is_zero() -> None:
    assert OverlapCounts(fp=3, tn=9).iou == 0


def test_overlap_of_two_sizes_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="one size"):
        overlap(PREDICTION, TARGET.T)
    with pytest.raises(ValueError, match="one size"):
        overlap(PREDICTION, TARGET, np.zeros((2, 2), np.uint8))

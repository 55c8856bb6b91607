from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from lerenet.evaluation.metrics import AlarmCounts, Spread, Tally, measure, spread
from lerenet.imaging import OverlapCounts
from lerenet.inference.reliability import ScoreBins


def tally(
    name: str, seed: int, draw: int, counts: tuple[int, int, int, int], alarms: AlarmCounts | None = None
) -> Tally:
    return Tally(name, seed, draw, 1, 0.5, 1, OverlapCounts(*counts), alarms or AlarmCounts())


def close(found: Spread | None, mean: float, sd: float | None) -> bool:
    return found is not None and (found.mean, found.sd) == pytest.approx((mean, sd))


def test_spread_is_mean_with_sample_standard_deviation() -> None:
    assert close(spread([0.2, 0.4, 0.9]), 0.5, 0.36055512754639896)


def test_single_value_has_no_deviation() -> None:
    assert close(spread([0.25]), 0.25, None)


def test_class_iou_pools_pixels_before_the_ratio() -> None:
    # 10/20 and 0/80 by themselves; pooled 10/100.
    tallies = [tally("a", 0, 0, (10, 5, 5, 80)), tally("a", 0, 1, (0, 40, 40, 20))]
    assert close(measure(tallies).iou, 0.1, None)


def test_miou_weighs_classes_alike() -> None:
    tallies = [tally("a", 0, 0, (900, 100, 0, 0)), tally("b", 0, 0, (1, 0, 1, 0))]
    assert measure(tallies).iou.mean == pytest.approx((0.9 + 0.5) / 2)


def test_iou_spreads_over_seeds() -> None:
    tallies = [tally("a", 0, 0, (6, 2, 2, 0)), tally("a", 1, 0, (8, 1, 1, 0))]
    assert close(measure(tallies).iou, 0.7, 0.2 / 2**0.5)


def test_iou_over_draws_keeps_draws_of_a_seed_apart() -> None:
    tallies = [tally("a", 0, 0, (6, 2, 2, 0)), tally("a", 0, 1, (8, 1, 1, 0))]
    assert measure(tallies).iou.sd is None
    assert close(measure(tallies).iou_over_draws, 0.7, 0.2 / 2**0.5)


def test_fb_iou_is_the_mean_of_pooled_foreground_with_background() -> None:
    # Foreground (6+2)/(10+10) = 0.4, background (30+50)/(34+58) = 80/92.
    tallies = [tally("a", 0, 0, (6, 2, 2, 30)), tally("b", 0, 0, (2, 4, 4, 50))]
    assert measure(tallies).fb_iou.mean == pytest.approx((0.4 + 80 / 92) / 2)


def test_false_alarm_rate_is_the_share_of_defect_free_images_marked() -> None:
    tallies = [
        tally("a", 0, 0, (1, 0, 0, 1), AlarmCounts(n_images=4, n_alarms=1, n_pixels=400, alarm_px=10)),
        tally("a", 0, 1, (1, 0, 0, 1), AlarmCounts(n_images=4, n_alarms=3, n_pixels=400, alarm_px=70)),
    ]
    figures = measure(tallies)
    assert close(figures.false_alarm_rate, 0.5, None)
    assert close(figures.false_alarm_area, 0.1, None)


def test_class_without_defect_free_images_leaves_the_false_alarm_rate_alone() -> None:
    asked = tally("a", 0, 0, (1, 0, 0, 1), AlarmCounts(2, 1, 200, 4))
    figures = measure([asked, tally("b", 0, 0, (1, 0, 0, 1))])
    assert close(figures.false_alarm_rate, 0.5, None)


def test_false_alarm_rate_is_absent_without_defect_free_images() -> None:
    figures = measure([tally("a", 0, 0, (1, 0, 0, 1))])
    assert figures.false_alarm_rate is None
    assert figures.false_alarm_area is None


def test_large_alarm_rate_is_the_share_of_defect_free_images_with_a_large_region() -> None:
    tallies = [tally("a", 0, 0, (1, 0, 0, 1), AlarmCounts(4, 3, 400, 10, n_large=1))]
    figures = measure(tallies)
    assert close(figures.false_alarm_rate, 0.75, None)
    assert close(figures.large_alarm_rate, 0.25, None)


def test_calibration_error_pools_the_regions_of_all_tallies() -> None:
    of_one = replace(tally("a", 0, 0, (1, 0, 0, 1)), reliability=ScoreBins.of(np.array([0.9]), np.array([False])))
    of_other = replace(tally("a", 0, 1, (1, 0, 0, 1)), reliability=ScoreBins.of(np.array([0.9]), np.array([True])))
    assert measure([of_one, of_other]).calibration_error == pytest.approx(0.4)
    assert measure([tally("a", 0, 0, (1, 0, 0, 1))]).calibration_error is None


def test_tally_survives_json() -> None:
    before = replace(
        tally("a", 0, 0, (1, 2, 3, 4), AlarmCounts(4, 3, 400, 10, n_large=1)),
        min_score=0.35,
        reliability=ScoreBins.of(np.array([0.2, 0.9]), np.array([False, True])),
    )
    assert Tally.from_document(json.loads(json.dumps(asdict(before)))) == before

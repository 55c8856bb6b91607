from __future__ import annotations

import pytest

from lerenet.inference.forecast import BatchForecast


def test_forecast_is_unknown_before_the_first_batch() -> None:
    assert BatchForecast().seconds(10) is None


def test_forecast_finds_the_line_behind_the_batches() -> None:
    forecast = BatchForecast()
    for weight in (1, 2, 4, 8):
        forecast.observe(weight, 0.25 * weight + 0.5)
    assert forecast.seconds(16) == pytest.approx(4.5)


def test_forecast_counts_the_offset_once_per_batch() -> None:
    forecast = BatchForecast()
    for weight in (1, 2, 4, 8):
        forecast.observe(weight, 0.25 * weight + 0.5)
    assert forecast.seconds(16, n_batches=3) == pytest.approx(5.5)


def test_forecast_scales_with_weight_when_all_batches_weigh_the_same() -> None:
    forecast = BatchForecast()
    for _ in range(3):
        forecast.observe(4, 2.0)
    assert forecast.seconds(8) == pytest.approx(4.0)


def test_forecast_never_lets_more_work_take_less_time() -> None:
    forecast = BatchForecast()
    forecast.observe(1, 2.0)
    forecast.observe(10, 1.0)
    assert forecast.seconds(100) == pytest.approx(1.5)


def test_forecast_is_never_negative() -> None:
    forecast = BatchForecast()
    forecast.observe(10, 0.1)
    forecast.observe(20, 5.0)
    seconds = forecast.seconds(1)
    assert seconds is not None
    assert seconds >= 0.0


def test_forecast_forgets_batches_beyond_its_window() -> None:
    forecast = BatchForecast(window=2)
    forecast.observe(1, 100.0)
    forecast.observe(1, 1.0)
    forecast.observe(1, 1.0)
    assert forecast.seconds(1) == pytest.approx(1.0)

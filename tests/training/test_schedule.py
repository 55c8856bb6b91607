import pytest

from lerenet.training.config import TrainingConfig
from lerenet.training.schedule import learning_rate_factor, run_progress


def test_learning_rate_rises_in_a_line_to_its_peak() -> None:
    assert [learning_rate_factor(p, 0.1) for p in (0.0, 0.05, 0.1)] == pytest.approx([0.04, 0.52, 1.0])


def test_learning_rate_falls_along_a_cosine_to_zero() -> None:
    assert [learning_rate_factor(p, 0.2) for p in (0.2, 0.6, 1.0)] == pytest.approx([1.0, 0.5, 0.0])


def test_learning_rate_starts_at_its_peak_when_there_is_no_warm_up() -> None:
    assert learning_rate_factor(0.0, 0.0) == 1


def test_run_progress_follows_steps_when_there_is_no_time_limit() -> None:
    assert run_progress(TrainingConfig(steps=100), step=25, elapsed_s=1e9) == 0.25


def test_run_progress_follows_time_when_steps_are_unlimited() -> None:
    assert run_progress(TrainingConfig(steps=0, max_hours=2.0), step=10**9, elapsed_s=1800) == 0.25


def test_run_progress_follows_the_further_of_both_limits() -> None:
    config = TrainingConfig(steps=100, max_hours=1.0)
    assert run_progress(config, step=50, elapsed_s=36) == 0.5
    assert run_progress(config, step=1, elapsed_s=2700) == 0.75


def test_run_progress_stays_at_one_when_a_limit_is_passed() -> None:
    assert run_progress(TrainingConfig(steps=10), step=12, elapsed_s=0) == 1

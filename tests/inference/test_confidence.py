from __future__ import annotations

import numpy as np
import pytest

from lerenet.inference.confidence import PLAIN, Confidence, fit_confidence, region_features

FLAT = (1e-6, 1e-6, 1e-6)


def test_plain_score_is_the_mean_probability() -> None:
    means = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(PLAIN.scores(means, np.array([1.0, 50.0, 3.0])), means)


def test_score_of_a_certain_region_stays_below_one() -> None:
    low, high = PLAIN.scores(np.array([0.0, 1.0]), np.ones(2))
    assert 0 < low < 0.01
    assert 0.99 < high < 1


def test_score_grows_with_area_where_the_model_says_so() -> None:
    small, large = Confidence(0.0, 1.0, 0.5).scores(np.full(2, 0.5), np.array([1.0, 100.0]))
    assert (small, large) == (pytest.approx(0.5), pytest.approx(10 / 11))


def test_fit_finds_the_model_that_drew_the_regions() -> None:
    rng = np.random.default_rng(0)
    true = Confidence(-1.0, 0.7, 0.3)
    means, areas = rng.uniform(0.05, 0.95, 20_000), np.exp(rng.uniform(0, 7, 20_000))
    is_right = (rng.random(20_000) < true.scores(means, areas)).astype(float)
    features = region_features(means, areas)
    found = fit_confidence(features, is_right, np.ones(20_000), prior=PLAIN, prior_precision=FLAT)
    assert found == pytest.approx(true, abs=0.1)


def test_fitted_scores_are_on_average_the_share_that_is_right() -> None:
    means, areas = np.linspace(0.1, 0.9, 50, dtype=np.float64), np.linspace(1, 400, 50, dtype=np.float64)
    features = region_features(means, areas)
    is_right = (np.arange(50) % 3 == 0).astype(float)
    found = fit_confidence(features, is_right, np.ones(50), prior=PLAIN, prior_precision=FLAT)
    scores = found.scores(means, areas)
    assert scores.mean() == pytest.approx(is_right.mean(), abs=1e-4)


def test_fit_without_regions_is_the_prior() -> None:
    prior = Confidence(-1.0, 0.6, 0.2)
    nothing = region_features(np.zeros(0), np.ones(0))
    assert fit_confidence(nothing, np.zeros(0), np.zeros(0), prior=prior, prior_precision=(1, 1, 1)) == prior


def test_fit_keeps_what_the_prior_is_sure_of() -> None:
    features = region_features(np.array([0.9, 0.8]), np.array([10.0, 20.0]))
    precision = (0.5, np.inf, np.inf)
    found = fit_confidence(features, np.zeros(2), np.ones(2), prior=PLAIN, prior_precision=precision)
    assert found[1:] == PLAIN[1:]
    assert found.bias < 0


def test_fit_ends_when_all_regions_are_right() -> None:
    features = region_features(np.full(500, 0.5), np.full(500, 10.0))
    found = fit_confidence(features, np.ones(500), np.ones(500), prior=PLAIN, prior_precision=(0.5, np.inf, np.inf))
    assert 2 < found.bias < 20


def test_fit_finds_its_way_back_from_a_prior_that_is_far_off() -> None:
    features = region_features(np.full(20, 0.95), np.full(20, 100.0))
    is_right = (np.arange(20) < 8).astype(float)
    found = fit_confidence(features, is_right, np.ones(20), prior=PLAIN, prior_precision=(1e-3, 1e-3, 1e-3))
    assert found.scores(np.array([0.95]), np.array([100.0]))[0] == pytest.approx(0.4, abs=0.001)

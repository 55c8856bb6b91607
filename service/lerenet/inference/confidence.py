"""How sure a region is: the probability that it is right, from how its pixels look on the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_PROBABILITY = 0.5 / 255
"""Half a step of an 8-bit map: nothing is surer than the map can say."""

_TOLERANCE = 1e-8
_MAX_STEPS = 100


class Confidence(NamedTuple):
    """A logistic model of P(a region is right | what is seen). Right: at least half of its pixels lie on the defect.

    The logit of a score is `bias + probability * logit(mean probability) + area * ln(pixels at the working scale)`.
    Neither term knows which tile showed the region, nor what else the image holds. The weights file brings what was
    fitted on held-out plates; a class moves the bias by what its own shots and normals show.

    Attributes:
        bias: Logit of a region of one pixel at p = 0.5.
        probability: Gain per logit of mean probability.
        area: Gain per factor e of area.
    """

    bias: float = 0.0
    probability: float = 1.0
    area: float = 0.0

    def scores(self, means: NDArray[np.float64], areas_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n,) in 0 to 1 that regions are right.

        Args:
            means: (n,) mean probability of each region, 0 to 1.
            areas_px: (n,) their areas in pixels at the working scale, which may be fractions; above 0.
        """
        return _sigmoid(region_features(means, areas_px) @ np.array(self))


PLAIN = Confidence()
"""The score is the mean probability: all there is to say before anything was fitted."""


def region_features(means: NDArray[np.float64], areas_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the logistic model adds up, (n, 3) in the order of `Confidence`; arguments as of `Confidence.scores`."""
    p = np.clip(means, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.stack([np.ones_like(p), np.log(p / (1 - p)), np.log(areas_px)], axis=1)


def fit_confidence(
    features: NDArray[np.float64],
    is_right: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    prior: Confidence,
    prior_precision: tuple[float, float, float],
) -> Confidence:
    """The most probable model given regions that were judged: Newton's method on a concave sum.

    Args:
        features: (n, 3), of `region_features`; n may be 0.
        is_right: (n,) 0 or 1.
        weights: (n,) how much each region counts.
        prior: What is believed without any region.
        prior_precision: Per parameter 1 / variance of that belief, above 0; infinite keeps the parameter as it is.
    """
    is_free = np.isfinite(prior_precision)
    free, precision = features[:, is_free], np.array(prior_precision)[is_free]
    start = np.array(prior, dtype=float)
    fixed = features @ np.where(is_free, 0.0, start)

    def log_posterior(parameters: NDArray[np.float64]) -> float:
        logits = fixed + free @ parameters
        fit = weights @ (is_right * logits - np.logaddexp(0, logits))
        return float(fit - precision @ (parameters - start[is_free]) ** 2 / 2)

    found = start[is_free]
    for _ in range(_MAX_STEPS):
        p = _sigmoid(fixed + free @ found)
        gradient = free.T @ (weights * (is_right - p)) - precision * (found - start[is_free])
        curvature = (free.T * (weights * p * (1 - p))) @ free + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        # Far from the optimum a whole step of a logistic model may overshoot without end.
        while log_posterior(found + step) < log_posterior(found) and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        found = found + step
        if np.abs(step).max() <= _TOLERANCE:
            break
    model = start.copy()
    model[is_free] = found
    return Confidence(*model.tolist())


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = np.exp(-np.logaddexp(0, -logits))
    return scores

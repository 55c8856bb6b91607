"""What a score is worth: the confidence of a network, fitted on held-out plates so that scores keep their word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from lerenet.inference.confidence import PLAIN, Confidence, fit_confidence, region_features
from lerenet.inference.geometry import to_probability
from lerenet.inference.regions import mark_regions
from lerenet.inference.reliability import ScoreBins, judge_regions
from lerenet.network.lerenet import foreground_logit
from lerenet.training.episodes import SyntheticEpisodes, draw_supports
from lerenet.training.learner import episode_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lerenet.network.lerenet import LERENet
    from lerenet.training.episodes import EpisodeSource

SEED = 800_001
"""Of the plates: never that of a training run or of its validation."""

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Regions are cut at each: a class may end up with any threshold."""

MAX_SHOTS = 5
_PRIOR_PRECISION = (1e-3, 1e-3, 1e-3)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fit, and how it does on episodes that took no part in it.

    Attributes:
        confidence: Fitted on all episodes.
        plain: Held-out half of the episodes, scored by mean probability.
        fitted: The same half, scored as the other half says.
    """

    confidence: Confidence
    plain: ScoreBins
    fitted: ScoreBins


@dataclass(frozen=True, eq=False)
class _Judged:
    """Regions of some episodes: mean probability, area in pixels, whether each is right, and its weight; (n,) each."""

    means: NDArray[np.float64]
    areas_px: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    weights: NDArray[np.float64]

    @staticmethod
    def joined(parts: Sequence[_Judged]) -> _Judged:
        return _Judged(
            np.concatenate([part.means for part in parts]),
            np.concatenate([part.areas_px for part in parts]),
            np.concatenate([part.is_right for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )

    def fit(self) -> Confidence:
        features = region_features(self.means, self.areas_px)
        is_right = self.is_right.astype(float)
        return fit_confidence(features, is_right, self.weights, prior=PLAIN, prior_precision=_PRIOR_PRECISION)

    def bins(self, confidence: Confidence) -> ScoreBins:
        return ScoreBins.of(confidence.scores(self.means, self.areas_px), self.is_right)


def calibration_plates(size_px: int, n_images: int, device: torch.device) -> SyntheticEpisodes:
    """Episodes of their own seed, one a batch."""
    return SyntheticEpisodes(seed=SEED, size_px=size_px, n_images=n_images, n_episodes=1, device=device)


def calibrate(
    network: LERENet,
    source: EpisodeSource,
    n_episodes: int,
    device: torch.device,
    on_episode: Callable[[], None] = lambda: None,
) -> Calibration:
    """Fits the confidence of a network; each image of an episode is a query, and shots go from 1 to 5 in turn.

    Args:
        network: In evaluation mode, on the device.
        source: Its batch i is one episode.
        n_episodes: At least 2.
        device: Where the network is.
        on_episode: Called after each.

    Raises:
        ValueError: Fewer than 2 episodes, so that none can be held out.
    """
    if n_episodes < 2:
        raise ValueError(f"{n_episodes} episodes: give at least 2, for one half judges what the other says")
    judged = []
    for index in range(n_episodes):
        judged.append(_judge_episode(network, *source[index], index, device))
        on_episode()
    ours, held_out = _Judged.joined(judged[::2]), _Judged.joined(judged[1::2])
    confidence = _Judged.joined(judged).fit()
    return Calibration(confidence, plain=held_out.bins(PLAIN), fitted=held_out.bins(ours.fit()))


@torch.no_grad()
def _judge_episode(
    network: LERENet, images: torch.Tensor, masks: torch.Tensor, index: int, device: torch.device
) -> _Judged:
    random = np.random.default_rng([SEED, index])
    draw = draw_supports(masks.flatten(2).any(dim=2), 1 + index % MAX_SHOTS, random)
    logits, targets = episode_logits(network, images, masks, draw, device, "float32")
    maps = to_probability(foreground_logit(logits.float()))
    truths = targets.cpu().numpy()
    parts = [_judge(q, truth, t) for q, truth in zip(maps, truths, strict=True) for t in THRESHOLDS]
    regions = _Judged.joined(parts)
    # An episode counts once: a few in which the network is lost, speckled all over, would outvote all others.
    return replace(regions, weights=np.full(len(regions.means), 1 / max(len(regions.means), 1)))


def _judge(q: NDArray[np.uint8], truth: NDArray[np.uint8], threshold: float) -> _Judged:
    found = mark_regions(q, threshold)
    is_right = judge_regions(found.hits_px(truth), found.areas_px)
    return _Judged(found.means, found.areas_px.astype(float), is_right, np.ones(len(found)))

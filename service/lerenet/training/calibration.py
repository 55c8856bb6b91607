"""What a score is worth: the confidence of a network, fitted on held-out plates so that scores keep their word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lerenet.inference.confidence import PLAIN, Confidence, fit_confidence, region_features
from lerenet.inference.regions import mark_regions
from lerenet.inference.reliability import ScoreBins, judge_regions
from lerenet.inference.segmenter import SegmentationJob
from lerenet.synthetic.sheet import as_shots, split_episode
from lerenet.training.episodes import SyntheticEpisodes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from lerenet.imaging.shots import Shot
    from lerenet.inference.segmenter import Segmenter
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
    segmenter: Segmenter,
    source: EpisodeSource,
    n_episodes: int,
    on_episode: Callable[[], None] = lambda: None,
) -> Calibration:
    """Fits the confidence of a network on classes registered as the service does it, with 1 to 5 shots in turn.

    Args:
        segmenter: Of the network; the confidence it has so far plays no part.
        source: Its batch i is one episode; the first marked plates are the shots, all others queries.
        n_episodes: At least 2.
        on_episode: Called after each.

    Raises:
        ValueError: Fewer than 2 episodes, so that none can be held out.
    """
    if n_episodes < 2:
        raise ValueError(f"{n_episodes} episodes: give at least 2, for one half judges what the other says")
    judged = []
    for index in range(n_episodes):
        images, masks = source[index]
        judged.append(_judge_episode(segmenter, as_shots(images[0], masks[0]), 1 + index % MAX_SHOTS))
        on_episode()
    ours, held_out = _Judged.joined(judged[::2]), _Judged.joined(judged[1::2])
    confidence = _Judged.joined(judged).fit()
    return Calibration(confidence, plain=held_out.bins(PLAIN), fitted=held_out.bins(ours.fit()))


def _judge_episode(segmenter: Segmenter, plates: Sequence[Shot], n_shots: int) -> _Judged:
    shots, queries = split_episode(plates, n_shots)
    encoding = segmenter.encode(shots)
    maps = segmenter.segment([SegmentationJob(query.image, (encoding,)) for query in queries])
    answered = [(q, query.mask) for [q], query in zip(maps, queries, strict=True)]
    regions = _Judged.joined([_judge(q, truth, threshold) for q, truth in answered for threshold in THRESHOLDS])
    # An episode counts once: a few in which the network is lost, speckled all over, would outvote all others.
    return replace(regions, weights=np.full(len(regions.means), 1 / max(len(regions.means), 1)))


def _judge(q: NDArray[np.uint8], truth: NDArray[np.uint8], threshold: float) -> _Judged:
    found = mark_regions(q, threshold)
    is_right = judge_regions(found.hits_px(truth), found.areas_px)
    return _Judged(found.means, found.areas_px.astype(float), is_right, np.ones(len(found)))

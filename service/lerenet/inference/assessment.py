"""What a class starts with: a threshold, a least score and a confidence, from shots and normals that test each other.

Each shot is segmented by the others, and each normal with an encoding that has not seen it. What the first miss and
the second show is counted at every threshold; region by region, for a mask may drop regions that are not sure enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lerenet.inference.confidence import PLAIN, Confidence, fit_confidence, region_features
from lerenet.inference.regions import mark_regions
from lerenet.inference.reliability import judge_regions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5
GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Thresholds to choose from, and least scores: 0.05, 0.10, ... 0.95."""

KEEP_ALL = 0.0
"""The least score that drops no region."""

INDIFFERENCE = 0.01
"""IoUs this close are taken as equal, and the value nearest to a half wins."""

ALLOWANCE = 0.05
"""IoU on the shots that may be given up for fewer false alarms on normals. A handful of shots does not tell such
differences apart: where this was measured, the mean IoU on other images moved by a point at most."""

ALARM_PX = 25
"""A region of more original pixels than this on a defect-free image is a false alarm."""

BIAS_PRECISION = 0.5
"""Prior 1 / variance of a class's own bias: its first few regions move it, one alone does not."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What registration says about a class.

    Attributes:
        threshold: Suggested threshold, of `GRID`.
        loo_iou: IoU, 0 to 1, at that threshold when each shot is segmented by the others, pooled over the shots; None
            for a single shot, which nothing can be held against. What fitting has added to the others has seen the
            shot all the same, so it is a little flattered.
        min_score: Suggested least score of a region, of `GRID`, or `KEEP_ALL`.
        confidence: Scores the class's regions.
    """

    threshold: float = DEFAULT_THRESHOLD
    loo_iou: float | None = None
    min_score: float = 0.0
    confidence: Confidence = PLAIN


@dataclass(frozen=True, eq=False)
class _Regions:
    """Regions of several maps: mean probability, pixels, those on the defect, and which image each is of; (n,) each."""

    means: NDArray[np.float64]
    areas_px: NDArray[np.float64]
    hits_px: NDArray[np.float64]
    images: NDArray[np.int64]

    def scores(self, confidence: Confidence) -> NDArray[np.float64]:
        return confidence.scores(self.means, self.areas_px)

    @staticmethod
    def joined(parts: Sequence[_Regions]) -> _Regions:
        columns = [[part.means, part.areas_px, part.hits_px, part.images] for part in parts]
        return _Regions(*(np.concatenate(column) for column in zip(_NOTHING, *columns, strict=True)))


_NOTHING = (np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))


@dataclass(eq=False)
class RegionTally:
    """Regions of maps whose truth is known, at every threshold of the grid.

    Attributes:
        ratio: Original pixels per pixel of the maps.
        is_unseen: Whether the encodings had not seen the shots. What they had seen still tells thresholds apart, but
            not how often they are right.
    """

    ratio: int = 1
    is_unseen: bool = True
    _shots: dict[float, list[_Regions]] = field(default_factory=lambda: {threshold: [] for threshold in GRID})
    _normals: dict[float, list[_Regions]] = field(default_factory=lambda: {threshold: [] for threshold in GRID})
    _defect_px: int = 0
    _n_normals: int = 0

    def add(self, q: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """Counts a map of a shot.

        Args:
            q: (H, W) uint8, round(255 p), at the working scale.
            mask: (H, W) uint8: 1 defect, 0 background, anything else not counted.
        """
        counted = np.where(mask <= 1, q, 0).astype(np.uint8)
        self._defect_px += int(np.count_nonzero(mask == 1))
        for threshold in GRID:
            self._shots[threshold].append(_regions(counted, mask, threshold, image=0))

    def add_normal(self, maps: Iterable[NDArray[np.uint8]]) -> None:
        """Counts all maps, (H, W) uint8 each, of one defect-free image."""
        for q in maps:
            for threshold in GRID:
                self._normals[threshold].append(_regions(q, np.zeros_like(q), threshold, image=self._n_normals))
        self._n_normals += 1

    def assess(self, prior: Confidence = PLAIN) -> Assessment:
        """The best threshold, then the best least score at it, and the confidence that fits the class.

        Args:
            prior: Confidence of any class; its bias moves as far as the regions ask for.
        """
        shots = {threshold: _Regions.joined(parts) for threshold, parts in self._shots.items()}
        normals = {threshold: _Regions.joined(parts) for threshold, parts in self._normals.items()}
        judged = [*shots.values(), *normals.values()] if self.is_unseen else list(normals.values())
        confidence = _fitted(prior, judged)
        threshold = _middlemost({t: self._iou(regions, KEEP_ALL, confidence) for t, regions in shots.items()})
        ious = {least: self._iou(shots[threshold], least, confidence) for least in (KEEP_ALL, *GRID)}
        quietest = self._quietest(ious, normals[threshold], confidence)
        min_score = _middlemost({least: ious[least] for least in quietest})
        return Assessment(threshold, ious[min_score] if self.is_unseen else None, min_score, confidence)

    def _iou(self, regions: _Regions, least: float, confidence: Confidence) -> float:
        """Pooled IoU of the shots when regions of a lower score are dropped."""
        is_kept = regions.scores(confidence) >= least
        marked, hits = regions.areas_px[is_kept].sum(), regions.hits_px[is_kept].sum()
        union = self._defect_px + marked - hits
        return float(hits / union) if union else 1.0

    def _quietest(self, ious: Mapping[float, float], normals: _Regions, confidence: Confidence) -> list[float]:
        """Least scores with the fewest false alarms among those whose IoU can be afforded."""
        is_large, scores = normals.areas_px * self.ratio**2 > ALARM_PX, normals.scores(confidence)
        affordable = [least for least, iou in ious.items() if iou >= max(ious.values()) - ALLOWANCE]
        alarms = {least: len(np.unique(normals.images[is_large & (scores >= least)])) for least in affordable}
        return [least for least, count in alarms.items() if count == min(alarms.values())]


def _regions(q: NDArray[np.uint8], mask: NDArray[np.uint8], threshold: float, image: int) -> _Regions:
    found = mark_regions(q, threshold)
    hits = found.hits_px(mask).astype(float)
    return _Regions(found.means, found.areas_px.astype(float), hits, np.full(len(found), image))


def _fitted(prior: Confidence, parts: Sequence[_Regions]) -> Confidence:
    """The prior with the class's own bias. A region is seen at many thresholds and counts once in all."""
    seen = _Regions.joined(parts)
    is_right = judge_regions(seen.hits_px, seen.areas_px).astype(float)
    return fit_confidence(
        region_features(seen.means, seen.areas_px),
        is_right,
        np.full(len(is_right), 1 / len(GRID)),
        prior=prior,
        prior_precision=(BIAS_PRECISION, np.inf, np.inf),
    )


def _middlemost(ious: Mapping[float, float]) -> float:
    """Of the values whose IoU is about the best the one nearest to a half; of two, the higher: it raises less alarm."""
    least = max(ious.values()) - INDIFFERENCE
    return min((value for value, iou in ious.items() if iou >= least), key=lambda v: (round(abs(v - 0.5), 6), -v))

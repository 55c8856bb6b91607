"""Whether scores keep their word: of the regions that score 0.8, eight in ten are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_BINS = 10


@dataclass(frozen=True, slots=True)
class ScoreBins:
    """Judged regions by score, in ten bins of equal width. Adds up: `sum(bins, ScoreBins())` pools images.

    Attributes:
        n_regions: Regions in each bin, from [0, 0.1) to [0.9, 1].
        n_right: Those of them that are right.
        score_sums: Sum of their scores.
    """

    n_regions: tuple[int, ...] = (0,) * N_BINS
    n_right: tuple[int, ...] = (0,) * N_BINS
    score_sums: tuple[float, ...] = (0.0,) * N_BINS

    @staticmethod
    def of(scores: NDArray[np.float64], is_right: NDArray[np.bool_]) -> ScoreBins:
        """Counts regions from scores (n,) in 0 to 1 and judgements (n,)."""
        places = np.minimum((scores * N_BINS).astype(np.int64), N_BINS - 1)
        counts, rights = (np.bincount(part, minlength=N_BINS) for part in (places, places[is_right]))
        sums = np.bincount(places, weights=scores, minlength=N_BINS)
        return ScoreBins(tuple(counts.tolist()), tuple(rights.tolist()), tuple(sums.tolist()))

    def __add__(self, other: ScoreBins) -> ScoreBins:
        return ScoreBins(
            tuple(a + b for a, b in zip(self.n_regions, other.n_regions, strict=True)),
            tuple(a + b for a, b in zip(self.n_right, other.n_right, strict=True)),
            tuple(a + b for a, b in zip(self.score_sums, other.score_sums, strict=True)),
        )

    @property
    def error(self) -> float | None:
        """Expected calibration error: |mean score - share right| of each bin, weighted by regions; None without any.

        Source: Naeini et al., AAAI 2015.
        """
        n = sum(self.n_regions)
        gaps = (abs(total - right) for total, right in zip(self.score_sums, self.n_right, strict=True))
        return sum(gaps) / n if n else None

    def points(self) -> list[tuple[float, float, int]]:
        """Mean score, share right and number of regions of each bin that holds any."""
        filled = (bin_ for bin_ in zip(self.score_sums, self.n_right, self.n_regions, strict=True) if bin_[2])
        return [(total / n, right / n, n) for total, right, n in filled]


def judge_regions(hits_px: NDArray[Any], areas_px: NDArray[Any]) -> NDArray[np.bool_]:
    """Which regions (n,) are right: at least half of their pixels lie on the defect."""
    is_right: NDArray[np.bool_] = 2 * hits_px >= areas_px
    return is_right

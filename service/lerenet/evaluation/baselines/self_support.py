"""Baseline: the query's own confident cells join the prototypes of the support. SSP, arXiv 2207.11549."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from lerenet.evaluation.baselines.cosine import CosineComparison
from lerenet.network.metal.names import FINEST, PROTOTYPES

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network.encoding import SupportEncoding
    from lerenet.network.lerenet import LERENet

SHARPNESS = 10.0
FOREGROUND_CONFIDENCE, BACKGROUND_CONFIDENCE = 0.7, 0.6
FEWEST_CELLS = 12
FOREGROUND_SHARE, GLOBAL_SHARE = 0.5, 0.3
ATTENTION_SHARPNESS = 2.0


class SelfSupport(CosineComparison):
    """Cosines to pooled prototypes, twice: the first pass finds cells of the query that it is sure of.

    Their mean makes half of the second pass's foreground prototype. Its background prototype is another one for each
    cell: three tenths the mean of the sure background, the rest a softmax-weighted sum of it by likeness to the cell.

    Source: SSP (Fan et al., ECCV 2022, arXiv 2207.11549), with its confidences 0.7 and 0.6, its shares, its factors 10
        and 2, and its 12 surest cells where none passes. We differ: the trunk is LERENet's and never saw this rule;
        cells and prototypes are mixed at unit length, so that neither side's size decides.
    """

    def __init__(self, network: LERENet) -> None:
        super().__init__(network, levels=(FINEST,), n_foreground=2, n_background=2, sharpness=SHARPNESS)

    def compare(self, level: int, cells: Tensor, encoding: SupportEncoding) -> Tensor:
        """See `CosineComparison.compare`."""
        prototypes = encoding.tensors[PROTOTYPES][0]
        confidence = (self.sharpness * prototypes @ cells).softmax(0)
        own_background = cells[:, _surest(confidence[0], BACKGROUND_CONFIDENCE)]
        own_foreground = cells[:, _surest(confidence[1], FOREGROUND_CONFIDENCE)]
        mixed = FOREGROUND_SHARE * prototypes[1] + (1 - FOREGROUND_SHARE) * F.normalize(own_foreground.mean(1), dim=0)
        to_foreground = F.normalize(mixed, dim=0) @ cells
        to_background = F.cosine_similarity(_background_of_each(cells, own_background), cells, dim=0)
        return torch.stack([to_background, to_foreground])


def _surest(confidence: Tensor, least: float) -> Tensor:
    """Indices of the cells that pass; where none does, of the few that come closest."""
    passing = (confidence > least).nonzero()[:, 0]
    return passing if len(passing) else confidence.topk(min(FEWEST_CELLS, len(confidence))).indices


def _background_of_each(cells: Tensor, own: Tensor) -> Tensor:
    """A background prototype (C, L) for each cell (C, L), out of the sure background cells (C, n)."""
    attention = (ATTENTION_SHARPNESS * own.mT @ cells).softmax(0)
    adapted = F.normalize(own @ attention, dim=0)
    return GLOBAL_SHARE * F.normalize(own.mean(1, keepdim=True), dim=0) + (1 - GLOBAL_SHARE) * adapted

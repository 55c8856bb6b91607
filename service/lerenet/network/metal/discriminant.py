"""A linear discriminant from the support: what parts this defect from the background around it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.layers import full_precision, on_grid
from lerenet.network.metal.names import discriminant

_INITIAL_SHRINKAGE = 0.05


def moments(cells: Tensor, weights: Tensor) -> Tensor:
    """All moments up to the second of weighted cells; sums, so that those of several images add up.

    Args:
        cells: (M, d, n) float32.
        weights: (M, n), at least 0.

    Returns:
        (M, d + 1, d + 1) float32: the sum of x xᵀ over the cells, each with a 1 at its end. So the last column holds
        the sum of the cells, and its last entry the sum of the weights.
    """
    with full_precision(cells):
        extended = F.pad(cells, (0, 0, 0, 1), value=1.0)
        return (extended * weights[:, None]) @ extended.mT


class Discriminant(nn.Module):
    """Ridge regression from descriptors to +1 on the defect and -1 on the background, both sides with equal weight.

    It is solved in closed form from moments alone: every cell of every shot counts, none is sampled, and the result
    has one size. Directions in which the background itself varies are discounted, which a cosine cannot do.

    Source: few-shot learning by ridge regression (R2D2, arXiv 1805.08136); here per cell and per level of the trunk.

    Args:
        channels: d of each level's descriptors.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self._channels = channels
        self.log_shrinkage = nn.Parameter(torch.full((len(channels),), math.log(_INITIAL_SHRINKAGE)))

    def fit(self, level: int, foreground: Tensor, background: Tensor) -> Tensor:
        """Solve for B classes.

        Args:
            level: Of the trunk.
            foreground: (B, d + 1, d + 1) mean moments of the defect's cells.
            background: The same of all other cells.

        Returns:
            (B, d + 1): direction and offset.
        """
        with full_precision(foreground):
            # A descriptor's mean square sums to 1 over its channels: the shrinkage is a share of the average channel.
            shrinkage = self.log_shrinkage[level].exp() / self._channels[level]
            identity = torch.eye(foreground.shape[-1], device=foreground.device)
            gram = (foreground + background) / 2 + shrinkage * identity
            solved: Tensor = torch.linalg.solve(gram, (foreground - background)[..., -1] / 2)
            return solved

    def forward(self, level: int, cells: Tensor, encoding: SupportEncoding) -> Tensor:
        """Responses (P, h, w), about -1 … 1, of a level's descriptors (P, d, h, w) to P classes."""
        weights = encoding.tensors[discriminant(level)]
        return on_grid((weights[:, None, :-1] @ cells.flatten(2))[:, 0] + weights[:, -1:], cells)

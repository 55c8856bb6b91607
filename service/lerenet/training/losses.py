"""Dice and cross-entropy from logits, in float32 whatever the network ran in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """Scalar tensors, each the mean over the queries of a batch."""

    cross_entropy: Tensor
    dice: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.cross_entropy + self.dice


def segmentation_losses(logits: Tensor, targets: Tensor, dice_smoothing: float) -> Losses:
    """Both losses of a batch of queries.

    Args:
        logits: (P, 2, H, W), background and defect.
        targets: (P, H, W) in {0, 1}; a query without a defect is all 0.
        dice_smoothing: Share of the image's area, see `dice_loss`.
    """
    scores = logits.float()
    return Losses(
        cross_entropy=functional.cross_entropy(scores, targets.long()),
        dice=dice_loss(scores.softmax(dim=1)[:, 1], targets, dice_smoothing).mean(),
    )


def dice_loss(probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """One minus the smoothed Dice overlap of each query.

    The smoothing area s keeps the loss of a defect-free query at A / (A + s) for a falsely marked area A: it falls to 0
    as the mark disappears, with a slope that grows as the mark shrinks, where the plain ratio would stay at 1.

    Args:
        probabilities: (P, H, W) float32 in [0, 1].
        targets: (P, H, W) in {0, 1}.
        smoothing: s as a share of H * W, above 0.

    Returns:
        (P,) float32 in [0, 1).
    """
    area_px = smoothing * targets[0].numel()
    truth = targets.to(probabilities.dtype)
    intersection = (probabilities * truth).sum(dim=(1, 2))
    areas = probabilities.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
    return 1 - (2 * intersection + area_px) / (areas + area_px)

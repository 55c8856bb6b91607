"""Information Fusion Module (IFM) of the published network: the three signals to logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DROPOUT = 0.1


class IFM(nn.Module):
    """Concatenates MPR, MPE and GEI, reduces, refines once with a residual pair, classifies and upsamples.

    Source: DingH2E/LDMP-RENet-main @5b9e585, model/LEGIT.py. We differ: the original's unused `fusion` convolution
        does not exist here.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(2 * n_channels + 1, n_channels, 1, bias=False), nn.ReLU(inplace=True))
        self.refine = nn.Sequential(*_conv_relu(n_channels), *_conv_relu(n_channels))
        self.classify = nn.Sequential(*_conv_relu(n_channels), nn.Dropout2d(DROPOUT), nn.Conv2d(n_channels, 2, 1))

    def forward(self, mpr: Tensor, mpe: Tensor, prior: Tensor, size: tuple[int, int]) -> Tensor:
        """(P, C, h, w), (P, C, h, w) and (P, 1, h, w) to logits (P, 2, H, W) for `size` = (H, W)."""
        reduced = self.reduce(torch.cat([mpr, mpe, prior], dim=1))
        refined = reduced + self.refine(reduced)
        return F.interpolate(self.classify(refined), size=size, mode="bilinear", align_corners=True)


def _conv_relu(n_channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(n_channels, n_channels, 3, padding=1, bias=False), nn.ReLU(inplace=True)

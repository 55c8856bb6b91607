"""Information Fusion Module (IFM) of the metal preset: narrow, with one look from farther away."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.layers import ResidualBlock, conv_norm_relu, resized_to

_INITIAL_FOREGROUND_LOGIT = -3.0
_UPSCALE = 2


class IFM(nn.Module):
    """Concatenates the three signals, reduces, refines at two strides, and classifies at half the image's resolution.

    Source: LERENet's IFM (arXiv 2403.11122). We differ: batch norm, a coarse branch for context, sub-pixel logits.

    Args:
        n_in: Channels of the three signals together.
        n_channels: h.
    """

    def __init__(self, n_in: int, n_channels: int) -> None:
        super().__init__()
        h = n_channels
        self.reduce: nn.Module = Reduction(n_in, h)
        self.refine = ResidualBlock(h, h)
        self.coarse = nn.Sequential(
            ResidualBlock(h, 2 * h, 2),
            ResidualBlock(2 * h, 2 * h, 2),
            ResidualBlock(2 * h, 2 * h),
            nn.Conv2d(2 * h, h, 1),
        )
        self.finish = ResidualBlock(h, h)
        self.classify = nn.Conv2d(h, 2 * _UPSCALE**2, 1)
        bias = torch.zeros(2, _UPSCALE**2)
        bias[1] = _INITIAL_FOREGROUND_LOGIT  # most of a plate is sound: start from there
        self.classify.bias = nn.Parameter(bias.flatten())

    def forward(self, mpr: Tensor, mpe: Tensor, prior: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps (P, ·, H/4, W/4) to logits (P, 2, H, W) for `size` = (H, W); to their difference when folded."""
        z = self.refine(self.reduce((mpr, mpe, prior)))
        z = self.finish(z + resized_to(self.coarse(z), z))
        logits = F.pixel_shuffle(self.classify(z), _UPSCALE).float()
        # with channels innermost, enlarging takes four times as long on a CPU
        return F.interpolate(logits.contiguous(), size, mode="bilinear", align_corners=False)


class Reduction(nn.Sequential):
    """The three signals side by side, and a 1 x 1 convolution of them with batch norm and ReLU.

    Args:
        n_in: Channels of the signals together.
        n_out: Of the result.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(*conv_norm_relu(n_in, n_out, 1))

    def forward(self, signals: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Maps of MPR, MPE and prior (P, ·, h, w) to (P, n_out, h, w)."""
        mpr, mpe, prior = signals
        joined = torch.cat([mpr, mpe, prior.to(mpr.dtype, memory_format=torch.channels_last)], dim=1)
        return cast(Tensor, super().forward(joined))  # type: ignore[no-untyped-call]

"""Centre-pivot 4D convolutions of HSNet, arXiv 2104.01538, section 4.2."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

_GROUPS = 4


class CenterPivotConv(nn.Module):
    """A 4D convolution that keeps only the weights at whose middle one of the two 2D positions stands.

    So it is the sum of a 2D convolution over the query's positions and one over the support's.

    Source: arXiv 2104.01538, equation 4. We differ: only the support's side is ever strided.

    Args:
        n_in: Channels in.
        n_out: Channels out.
        stride: Over the support's positions.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.over_query = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.over_support = nn.Conv2d(n_in, n_out, 3, stride, padding=1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, h, w, s, t) to (B, n_out, h, w, s / stride, t / stride)."""
        pivots = x[..., :: self.stride, :: self.stride]
        b, _, h, w, s, t = pivots.shape
        by_query = self.over_query(pivots.permute(0, 4, 5, 1, 2, 3).flatten(0, 2)).unflatten(0, (b, s, t))
        by_support = self.over_support(x.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)).unflatten(0, (b, h, w))
        total: Tensor = by_query.permute(0, 3, 4, 5, 1, 2) + by_support.permute(0, 3, 1, 2, 4, 5)
        return total


class Squeeze(nn.Module):
    """Centre-pivot convolutions, each with group norm and ReLU: (B, n_in, h, w, s, t) to fewer support positions.

    Args:
        n_in: Channels in.
        n_channels: Channels of each convolution.
        stride: Of each convolution over the support's positions.
    """

    def __init__(self, n_in: int, n_channels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        widths = (n_in, *n_channels)
        self.convolutions = nn.ModuleList(CenterPivotConv(a, b, stride) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, n) for n in n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolve(x)).relu()
        return x


def grown_to(coarse: Tensor, fine: Tensor) -> Tensor:
    """Bilinear resize of (B, C, h, w, s, t) over the query's positions to those of `fine`."""
    b, _, _, _, s, t = coarse.shape
    flat = coarse.permute(0, 4, 5, 1, 2, 3).flatten(0, 2)
    grown = F.interpolate(flat, fine.shape[2:4], mode="bilinear", align_corners=False)
    back: Tensor = grown.unflatten(0, (b, s, t)).permute(0, 3, 4, 5, 1, 2)
    return back

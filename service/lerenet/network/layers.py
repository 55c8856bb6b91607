"""Building blocks that the parts share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOMENTUM = 0.05


def conv_norm(n_in: int, n_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, and its batch norm."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(n_out, momentum=MOMENTUM)
    )


def conv_norm_relu(n_in: int, n_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(*conv_norm(n_in, n_out, kernel, stride), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut, (B, n_in, h, w) to (B, n_out, h / stride, w / stride).

    A stride of 2 averages 2 x 2 cells first: nothing aliases, and every convolution keeps stride 1, whose way back is
    several times faster on a CPU.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.down: nn.Module = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.first = conv_norm_relu(n_in, n_out)
        self.second = conv_norm(n_out, n_out)
        self.shortcut: nn.Module = nn.Identity() if n_in == n_out else conv_norm(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.down(x)
        return F.relu(self.second(self.first(x)).add_(self.shortcut(x)), inplace=True)


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the tensor's device: products of float32 tensors stay float32.

    Under autocast a matrix product is bfloat16 whatever goes in, which is too coarse for sums over thousands of cells.
    """
    return torch.autocast(like.device.type, enabled=False)


def on_grid(cells: Tensor, reference: Tensor) -> Tensor:
    """Cells (..., h * w) back on the grid (..., h, w) of `reference`."""
    return cells.reshape(*cells.shape[:-1], *reference.shape[-2:])


def as_map(cells: Tensor, reference: Tensor) -> Tensor:
    """Cells (P, h * w, C) as a map (P, C, h, w) on the grid of `reference`, channels last and without a copy."""
    grid: Tensor = cells.unflatten(1, reference.shape[-2:])
    return grid.permute(0, 3, 1, 2)


def resized_to(maps: Tensor, reference: Tensor) -> Tensor:
    """Bilinear resize of (B, C, h, w) to the grid of `reference`."""
    if maps.shape[-2:] == reference.shape[-2:]:
        return maps
    return F.interpolate(maps, reference.shape[-2:], mode="bilinear", align_corners=False)

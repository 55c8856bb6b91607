"""Random fields and filters over a batch of plates: (P, S, S) float32, coordinates in pixels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lerenet.synthetic.draw import Draw, over_plane


def pixel_grid(size_px: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres as (x, y), each (S, S) float32 in 0.5 … S - 0.5."""
    axis = torch.arange(size_px, device=device) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def rotated(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates along and across a direction: angle (P,) radians, clockwise from +x; both (P, S, S)."""
    cos, sin = over_plane(angle.cos()), over_plane(angle.sin())
    return x * cos + y * sin, y * cos - x * sin


class Spectra:
    """Power spectra on the frequency grid of `n` x `n` pixels, each of unit total power.

    A plate's texture is a Gaussian field, and independent Gaussian fields add their powers: any mixture of clouds,
    grain and streaks costs a single inverse transform.
    """

    def __init__(self, n: int, device: torch.device) -> None:
        self.n = n
        self.fy = torch.fft.fftfreq(n, device=device)[:, None] * (2 * math.pi)
        self.fx = torch.fft.rfftfreq(n, device=device)[None] * (2 * math.pi)
        self.square = self.fx**2 + self.fy**2
        # A column of the half plane stands for two of the full one, the first and the last for one.
        self.multiplicity = torch.full((n // 2 + 1,), 2.0, device=device)
        self.multiplicity[0] = self.multiplicity[-1] = 1.0

    def cloud(self, slope: Tensor) -> Tensor:
        """Power k^(-2 slope): slope 1 looks like haze, 2 like broad patches."""
        return self._unit((self.square + (2 * math.pi / self.n) ** 2) ** -over_plane(slope))

    def grain(self, radius_px: Tensor) -> Tensor:
        """White noise under a Gaussian blur of the given radius."""
        return self._unit(torch.exp(-self.square * over_plane(radius_px) ** 2))

    def spots(self, radius_px: Tensor) -> Tensor:
        """A ring in frequency: bumps of about one size."""
        scaled = self.square * over_plane(radius_px) ** 2
        return self._unit(scaled * torch.exp(-scaled))

    def streaks(self, angle: Tensor, length_px: Tensor, width_px: Tensor) -> Tensor:
        """White noise blurred by `length_px` along the angle and by `width_px` across it."""
        along, across = rotated(self.fx, self.fy, angle)
        return self._unit(torch.exp(-((along * over_plane(length_px)) ** 2) - (across * over_plane(width_px)) ** 2))

    def _unit(self, power: Tensor) -> Tensor:
        power = power.clone()
        power[:, 0, 0] = 0.0  # the mean belongs to the plate's base brightness
        return power / (power * self.multiplicity).sum((1, 2), keepdim=True)


def gaussian_field(draw: Draw, power: Tensor, size_px: int) -> Tensor:
    """A Gaussian random field (P, S, S) of zero mean whose variance is the total of `power` (P, n, n / 2 + 1)."""
    n = power.shape[1]
    noise = torch.view_as_complex(draw.normal(*power.shape, 2))
    field: Tensor = torch.fft.irfft2(noise * (power.sqrt() * (n * n / math.sqrt(2))), s=(n, n))
    return field[:, :size_px, :size_px]


def blurred(plates: Tensor, radius_px: Tensor) -> Tensor:
    """Gaussian blur with one radius per plate, (P,) pixels up to 6; borders are mirrored."""
    reach = max(1, min(15, math.ceil(2.5 * float(radius_px.max()))))
    taps = torch.arange(-reach, reach + 1, device=plates.device)
    kernel = torch.exp(-0.5 * (taps / radius_px.clamp_min(0.05)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]
    count = len(plates)
    padded = F.pad(plates[None], (reach,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel[:, :, None, :], groups=count)
    return F.conv2d(rows, kernel[:, :, :, None], groups=count)[0]


def dilated(masks: Tensor, radius_px: int) -> Tensor:
    """Grow what is marked in (P, S, S) by a square of the given radius; a negative radius shrinks it."""
    if radius_px == 0:
        return masks
    if radius_px < 0:
        return 1 - dilated(1 - masks, -radius_px)
    side = 2 * radius_px + 1
    rows = F.max_pool2d(masks[:, None], (1, side), 1, (0, radius_px))
    return F.max_pool2d(rows, (side, 1), 1, (radius_px, 0))[:, 0]

"""Shapes as inside-ness fields: (P, S, S) float32, about the distance in pixels to the outline, positive inside.

A union is a maximum, a cut a minimum: one grammar for every family.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lerenet.synthetic.draw import Draw, Parameters, over_plane
from lerenet.synthetic.fields import Spectra, gaussian_field, pixel_grid, rotated

_OUTSIDE = -1e3
_PATH_KNOTS = 64


class Canvas:
    """What shapes are drawn on: the pixel grid, the spectra and the random numbers of one batch."""

    def __init__(self, draw: Draw, size_px: int) -> None:
        self.draw = draw
        self.size_px = size_px
        self.spectra = Spectra(256 if size_px <= 240 else 2 * ((size_px * 9 // 8) // 2), draw.device)
        self.x, self.y = pixel_grid(size_px, draw.device)

    def field(self, power: Tensor) -> Tensor:
        """A Gaussian field (P, S, S) with the given power spectrum."""
        return gaussian_field(self.draw, power, self.size_px)

    def points(self, count: int, margin: float = 0.08) -> Tensor:
        """Random points (P, 2) in pixels, away from the border by a share of the side."""
        return self.draw.uniform(margin * self.size_px, (1 - margin) * self.size_px, count, 2)


def stroke(canvas: Canvas, centre: Tensor, angle: Tensor, length_px: Tensor, width_px: Tensor, path: Tensor) -> Tensor:
    """A line with tapered ends that follows `path` (P, knots): its sideways offset in pixels along the line."""
    along, across = rotated(canvas.x - over_plane(centre[:, 0]), canvas.y - over_plane(centre[:, 1]), angle)
    position = along / over_plane(length_px)  # -0.5 … 0.5 on the stroke
    offset = _interpolate(path, position + 0.5)
    taper = (1 - (2 * position).abs() ** 4).clamp_min(0).sqrt()
    half_width = 0.5 * over_plane(width_px) * (0.3 + 0.7 * taper)
    return torch.minimum(half_width - (across - offset).abs(), over_plane(length_px) / 2 - along.abs())


def wander(draw: Draw, count: int, length_px: Tensor, bend: Tensor, jitter: Tensor) -> Tensor:
    """Sideways offsets (P, knots) in pixels of a random walk: `bend` turns slowly, `jitter` at every knot."""
    step = length_px[:, None] / _PATH_KNOTS
    slow = draw.normal(count, _PATH_KNOTS).cumsum(1) / math.sqrt(_PATH_KNOTS)
    heading = slow * bend[:, None] + draw.normal(count, _PATH_KNOTS) * jitter[:, None]
    path: Tensor = (heading * step).cumsum(1)
    return path - path.mean(1, keepdim=True)


def _interpolate(path: Tensor, position: Tensor) -> Tensor:
    knots = path.shape[1]
    at = (position.clamp(0, 1) * (knots - 1)).flatten(1)
    left = at.floor().clamp(max=knots - 2)
    index = left.long()
    low, high = path.gather(1, index), path.gather(1, index + 1)
    return torch.lerp(low, high, at - left).view_as(position)


def blob(
    canvas: Canvas, centre: Tensor, radius_px: Tensor, elongation: Tensor, angle: Tensor, ragged: Tensor
) -> Tensor:
    """A closed outline around `centre` whose radius swings with four random harmonics of relative size `ragged`."""
    along, across = rotated(canvas.x - over_plane(centre[:, 0]), canvas.y - over_plane(centre[:, 1]), angle)
    stretch = over_plane(elongation.sqrt())
    along, across = along / stretch, across * stretch
    direction = torch.atan2(across, along)
    outline = torch.ones_like(direction)
    count = len(centre)
    for order in range(2, 6):
        swing = over_plane(ragged * canvas.draw.normal(count) / order)
        outline = outline + swing * torch.cos(
            order * direction + over_plane(canvas.draw.uniform(0, 2 * math.pi, count))
        )
    distance = (along**2 + across**2).sqrt()
    return over_plane(radius_px) * outline.clamp_min(0.2) - distance


def union(shapes: list[Tensor], present: Tensor) -> Tensor:
    """Union of J shapes; `present` (P, J) says which of them a plate has, the first being there always."""
    result = shapes[0]
    for j, shape in enumerate(shapes[1:], start=1):
        result = torch.maximum(result, torch.where(over_plane(present[:, j]), shape, _OUTSIDE))
    return result


def cloud_patch(canvas: Canvas, envelope: Tensor, slope: Tensor, depth_px: Tensor) -> Tensor:
    """`envelope` with an outline broken up by a cloud of the given slope, up to about `depth_px` deep."""
    return envelope + canvas.field(canvas.spectra.cloud(slope)) * over_plane(depth_px)


def speckle(canvas: Canvas, envelope: Tensor, spot_px: Tensor, share: Tensor) -> Tensor:
    """Spots of about one size inside `envelope`, filling about `share` of it."""
    field = canvas.field(canvas.spectra.spots(spot_px))
    level = math.sqrt(2) * torch.erfinv(1 - 2 * share)
    return torch.minimum((field - over_plane(level)) * over_plane(spot_px), envelope)


def scattered(canvas: Canvas, centre: Tensor, spread_px: Tensor, angle: Tensor, stretch: float) -> Tensor:
    """Centres (P, 2) around a common one: `stretch` times as far along the angle as across it."""
    along = canvas.draw.normal(len(centre)) * spread_px * stretch
    across = canvas.draw.normal(len(centre)) * spread_px / stretch
    dx, dy = along * angle.cos() - across * angle.sin(), along * angle.sin() + across * angle.cos()
    return (centre + torch.stack([dx, dy], 1)).clamp(4, canvas.size_px - 4)


def jittered(draw: Draw, parameters: Parameters, name: str, spread: float = 0.3) -> Tensor:
    """A class's own value as one plate shows it: log-normal around it."""
    values = parameters[name]
    return values * torch.exp(draw.normal(len(values)) * spread)

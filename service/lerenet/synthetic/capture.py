"""What a camera makes of a plate: exposure, colour, blur, noise, compression, eight bits."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lerenet.synthetic.draw import Draw, Parameters, over_plane
from lerenet.synthetic.fields import blurred

_WARM = (0.35, 0.02, -0.45)
_COLD = (-0.2, 0.0, 0.25)
_GREEN = (-0.5, 1.0, -0.5)
_RUST = (0.3, -0.02, -0.25)


def photograph(draw: Draw, plate: Tensor, surface: Parameters, stain: Tensor) -> Tensor:
    """Expose, colour and store.

    Args:
        draw: Random numbers.
        plate: (P, S, S) brightness, about 0 … 1.
        surface: Surface parameters, one entry per plate.
        stain: (P, S, S) strength of the defect's own colour; shows where the plate is in colour.

    Returns:
        (P, 3, S, S) uint8 RGB; the three channels are equal on a plate without colour.
    """
    count = len(plate)
    grey = _exposed(draw, plate)
    grey = torch.where(over_plane(draw.chance(0.45, count)), blurred(grey, draw.uniform(0.3, 1.1, count)), grey)
    noise = over_plane(draw.uniform(0.0, 0.03, count) * draw.chance(0.7, count))
    grey = grey + noise * draw.normal(*grey.shape)
    grey = _compressed(draw, grey)
    coloured = (surface["tint"] > 0)[:, None, None, None]
    cast = (surface["tint"][:, None] * _cast(surface))[:, :, None, None]
    rust = torch.tensor(_RUST, device=draw.device)[:, None, None] * stain[:, None]
    rgb = torch.where(coloured, grey[:, None] * (1 + cast) + rust, grey[:, None])
    return (rgb.clamp(0, 1) * 255).round().to(torch.uint8)


def _exposed(draw: Draw, plate: Tensor) -> Tensor:
    count = len(plate)
    gamma = over_plane(torch.exp(0.2 * draw.normal(count)))
    gain = over_plane(torch.exp(0.18 * draw.normal(count)))
    offset = over_plane(0.06 * draw.normal(count))
    return ((plate.clamp(1e-3, 2) ** gamma - 0.5) * gain + 0.5 + offset).clamp(0, 1)


def _cast(surface: Parameters) -> Tensor:
    """Colour direction (P, 3) between cold and warm, a little to green or magenta."""
    warmth = surface["warmth"][:, None]
    warm, cold, green = (torch.tensor(colour, device=warmth.device) for colour in (_WARM, _COLD, _GREEN))
    return torch.where(warmth > 0, warmth * warm, -warmth * cold) + surface["green"][:, None] * green


def _compressed(draw: Draw, plate: Tensor) -> Tensor:
    """Block noise as JPEG leaves it: 8 x 8 cosine coefficients rounded to a step that grows with frequency."""
    count, size, _ = plate.shape
    strength = draw.uniform(0.002, 0.02, count) * draw.chance(0.35, count)
    basis = _cosine_basis(plate.device)
    order = torch.arange(8, device=plate.device)
    step = (strength[:, None, None] * (1 + order[:, None] + order) + 1e-6)[:, None, None]
    blocks = plate.view(count, size // 8, 8, size // 8, 8).transpose(2, 3)
    rounded = (basis @ blocks @ basis.T / step).round() * step
    return (basis.T @ rounded @ basis).transpose(2, 3).reshape(count, size, size)


def _cosine_basis(device: torch.device) -> Tensor:
    k = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos(math.pi / 8 * (k + 0.5) * k[:, None]) / 2
    basis[0] /= math.sqrt(2)
    return basis

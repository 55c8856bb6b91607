"""Surface families: how bare metal looks before anything is wrong with it.

Every family is a set of ranges over one common model (texture spectrum, tool marks, bands, spots, light, colour). An
episode draws one point within its family's ranges, and each of its plates wanders a little around that point.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lerenet.synthetic.draw import Draw, Parameters, Range, over_plane
from lerenet.synthetic.fields import blurred, rotated
from lerenet.synthetic.shapes import Canvas, jittered

_COMMON: dict[str, Range] = {
    "base": (0.2, 0.75),
    "cloud": (0.0, 0.04),
    "slope": (0.8, 1.9),
    "grain": (0.004, 0.03),
    "grain_px": (0.35, 1.2),
    "streak": (0.0, 0.0),
    "streak_length_px": (10, 60),
    "streak_width_px": (0.5, 2.0),
    "skew": (-0.15, 0.2),
    "spot": (0.0, 0.0),
    "spot_px": (1.0, 3.0),
    "spot_share": (0.002, 0.02),
    "ripple": (0.0, 0.0),
    "ripple_px": (4, 30),
    "arc": (0.0, 0.0),
    "bands": (-1.5, 2.0),
    "band_contrast": (0.05, 0.3),
    "band_px": (5, 50),
    "band_soft_px": (0.5, 8),
    "tint": (0.1, 0.8),
    "warmth": (-0.6, 1.0),
    "green": (-0.12, 0.12),
    "slant": (0.0, 0.25),
    "vignette": (0.0, 0.15),
    "glare": (0.0, 0.0),
    "edge": (-0.85, 0.15),
}

FAMILIES: dict[str, dict[str, Range]] = {
    "hot_rolled": {"cloud": (0.02, 0.09), "grain": (0.005, 0.03), "bands": (-1.0, 3.0), "band_soft_px": (2, 8)},
    "cold_rolled": {
        "base": (0.25, 0.7),
        "cloud": (0.0, 0.02),
        "grain": (0.002, 0.015),
        "streak": (0.0, 0.02),
        "streak_length_px": (40, 120),
    },
    "brushed": {
        "streak": (0.02, 0.1),
        "streak_length_px": (25, 120),
        "streak_width_px": (0.4, 1.2),
    },
    "ground": {
        "streak": (0.03, 0.12),
        "streak_length_px": (8, 40),
        "streak_width_px": (0.5, 1.6),
        "skew": (-0.2, 0.45),
        "vignette": (0.0, 0.4),
    },
    "cast": {"grain": (0.02, 0.06), "grain_px": (0.8, 2.2), "cloud": (0.01, 0.06), "spot": (0.02, 0.12)},
    "milled": {"ripple": (0.01, 0.08), "streak": (0.01, 0.05), "grain": (0.003, 0.02)},
    "turned": {"ripple": (0.01, 0.08), "arc": (0.2, 1.0), "streak": (0.0, 0.02)},
    "blasted": {"grain": (0.03, 0.09), "grain_px": (0.5, 1.4), "slant": (0.0, 0.15)},
    "polished": {
        "grain": (0.001, 0.008),
        "cloud": (0.0, 0.01),
        "slant": (0.1, 0.4),
        "glare": (0.0, 0.5),
    },
    "oiled": {
        "bands": (0.5, 3.9),
        "band_contrast": (0.1, 0.4),
        "glare": (0.0, 0.7),
        "streak": (0.0, 0.12),
        "streak_length_px": (20, 120),
        "skew": (-0.5, 0.2),
        "tint": (0.2, 1.0),
        "warmth": (0.3, 1.0),
    },
    "oxidised": {
        "cloud": (0.04, 0.13),
        "spot": (0.0, 0.08),
        "spot_px": (1.5, 5),
        "tint": (0.2, 1.0),
        "warmth": (0.2, 1.0),
    },
    "part": {"edge": (0.1, 1.0), "streak": (0.0, 0.06), "vignette": (0.0, 0.3)},
}

_ABSENT = {"streak": 0.35, "spot": 0.4, "ripple": 0.2, "tint": 0.6, "glare": 0.4}
"""How often an effect that a family may show is left out altogether."""


def sample_surface(draw: Draw) -> dict[str, float]:
    """Draw one surface: a family, then a point within its ranges."""
    names = list(FAMILIES)
    family = names[int(draw.integers(0, len(names), 1))]
    surface = draw.within(_COMMON | FAMILIES[family])
    for name, probability in _ABSENT.items():
        if bool(draw.chance(probability, 1)):
            surface[name] = 0.0
    surface["band_contrast"] *= float(draw.sign(0.45, 1))
    surface["angle"] = _grain_direction(draw)
    return surface


def _grain_direction(draw: Draw) -> float:
    if bool(draw.chance(0.6, 1)):  # cameras are mostly mounted square to the rolling direction
        return float(draw.integers(0, 2, 1)) * math.pi / 2 + float(draw.normal(1)) * 0.04
    return float(draw.uniform(0, math.pi, 1))


def render_surface(canvas: Canvas, surface: Parameters, light: Tensor) -> tuple[Tensor, Tensor]:
    """Paint bare metal.

    Args:
        canvas: Grid and random numbers.
        surface: One entry per plate, as drawn by `sample_surface` and stacked.
        light: (P,) radians, where the light comes from.

    Returns:
        Brightness (P, S, S), about 0 … 1, not clipped; and the inside-ness of the part (P, S, S) in pixels, large
        and positive where the plate has no edge.
    """
    plate = over_plane(jittered(canvas.draw, surface, "base", 0.12)) + _texture(canvas, surface)
    plate = plate + _ripples(canvas, surface) + _bands(canvas, surface)
    plate = plate * _illumination(canvas, surface, light)
    return _cut_edge(canvas, surface, plate)


def _texture(canvas: Canvas, surface: Parameters) -> Tensor:
    draw, spectra = canvas.draw, canvas.spectra
    angle = surface["angle"] + 0.05 * draw.normal(len(surface["angle"]))
    amplitude = {name: over_plane(jittered(draw, surface, name, 0.25)) for name in ("cloud", "grain", "streak")}
    power = amplitude["cloud"] ** 2 * spectra.cloud(surface["slope"])
    power = power + amplitude["grain"] ** 2 * spectra.grain(surface["grain_px"])
    power = power + amplitude["streak"] ** 2 * spectra.streaks(
        angle, surface["streak_length_px"], surface["streak_width_px"]
    )
    texture = canvas.field(power)
    spread = sum(value**2 for value in amplitude.values()) ** 0.5 + 1e-6
    return texture + over_plane(surface["skew"]) * (texture**2 / spread - spread) + _spots(canvas, surface)


def _spots(canvas: Canvas, surface: Parameters) -> Tensor:
    if not bool((surface["spot"] > 0).any()):
        return torch.zeros((), device=canvas.draw.device)
    field = canvas.field(canvas.spectra.spots(surface["spot_px"]))
    level = over_plane(math.sqrt(2) * torch.erfinv(1 - 2 * surface["spot_share"]))
    sign = over_plane(canvas.draw.sign(0.3, len(surface["spot"])))
    return sign * over_plane(surface["spot"]) * ((field.abs() - level) * 3).clamp(0, 2)


def _ripples(canvas: Canvas, surface: Parameters) -> Tensor:
    along, across = rotated(canvas.x, canvas.y, surface["angle"])
    count = len(surface["angle"])
    radius = canvas.size_px * (1.2 + 2 / (over_plane(surface["arc"]) + 1e-3)).clamp_max(400)
    middle = canvas.size_px / 2
    circle = ((across + radius) ** 2 + (along - middle) ** 2).sqrt() - radius  # straight for a huge radius
    period = over_plane(jittered(canvas.draw, surface, "ripple_px", 0.08))
    phase = over_plane(canvas.draw.uniform(0, 2 * math.pi, count))
    return over_plane(surface["ripple"]) * torch.sin(2 * math.pi * circle / period + phase)


def _bands(canvas: Canvas, surface: Parameters) -> Tensor:
    """Up to three dark or bright bands along the grain: rolled-in scale, tracks, grooves. Never a defect."""
    draw, count = canvas.draw, len(surface["bands"])
    _, across = rotated(canvas.x - canvas.size_px / 2, canvas.y - canvas.size_px / 2, surface["angle"])
    total = torch.zeros(count, canvas.size_px, canvas.size_px, device=draw.device)
    for order in range(3):
        middle = over_plane(draw.uniform(-0.65, 0.65, count) * canvas.size_px)
        half = over_plane(jittered(draw, surface, "band_px", 0.4)) / 2
        soft = over_plane(surface["band_soft_px"])
        contrast = over_plane(jittered(draw, surface, "band_contrast", 0.4) * (surface["bands"] > order))
        total = total + contrast * torch.sigmoid((half - (across - middle).abs()) / soft)
    return total


def _illumination(canvas: Canvas, surface: Parameters, light: Tensor) -> Tensor:
    draw, count, size = canvas.draw, len(light), canvas.size_px
    along, across = rotated(canvas.x / size - 0.5, canvas.y / size - 0.5, light)
    slant = over_plane(surface["slant"] * draw.uniform(0, 2, count))
    vignette = over_plane(surface["vignette"] * draw.uniform(0, 2, count))
    spot = torch.exp(-((along - over_plane(draw.uniform(-0.5, 0.5, count))) ** 2) / 0.02 - across**2 / 0.3)
    glare = over_plane(surface["glare"] * draw.uniform(0, 1.5, count))
    return (1 + slant * along - vignette * (along**2 + across**2) * 2 + glare * spot).clamp_min(0.05)


def _cut_edge(canvas: Canvas, surface: Parameters, plate: Tensor) -> tuple[Tensor, Tensor]:
    """On some plates the part ends within the frame, before a dark or a glaring background."""
    draw, count, size = canvas.draw, len(plate), canvas.size_px
    side = draw.integers(0, 4, count) * (math.pi / 2) + 0.06 * draw.normal(count)
    along, across = rotated(canvas.x - size / 2, canvas.y - size / 2, side)
    bow = over_plane(draw.uniform(-0.15, 0.15, count)) * (across / size) ** 2 * size
    inside = over_plane(draw.uniform(0.2, 0.48, count) * size) - along + bow
    inside = torch.where(over_plane(surface["edge"] > draw.uniform(0, 0.5, count)), inside, 1e3)
    level = torch.where(draw.chance(0.75, count), draw.uniform(0, 0.2, count), draw.uniform(0.75, 1, count))
    share = torch.sigmoid(inside / over_plane(draw.uniform(0.4, 2.5, count)))
    backdrop = over_plane(level) + 0.02 * blurred(draw.normal(*plate.shape), torch.ones(count, device=draw.device))
    return plate * share + backdrop * (1 - share), inside

"""From an outline to pixels and to the annotator's mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lerenet.synthetic.draw import Parameters, over_plane
from lerenet.synthetic.fields import dilated
from lerenet.synthetic.shapes import Canvas, jittered


def paint_defect(canvas: Canvas, plate: Tensor, inside: Tensor, p: Parameters, light: Tensor) -> Tensor:
    """Show a defect on a plate.

    Args:
        canvas: Grid and random numbers.
        plate: (P, S, S) brightness, about 0 … 1.
        inside: (P, S, S) inside-ness of the defect in pixels.
        p: Class parameters, one entry per plate.
        light: (P,) radians, where the light comes from: dents shade against it.

    Returns:
        (P, S, S) brightness with the defect in it.
    """
    opacity = soft_coverage(inside, p)
    hidden = opacity * over_plane(p["cover"])
    plate = torch.lerp(plate, _local_level(plate), hidden)
    plate = plate + opacity * (_tone(canvas, p) + _inner_texture(canvas, p))
    plate = plate + over_plane(p["rim"]) * torch.exp(-(inside**2) / 3)
    return plate + _relief(inside, p, light)


def soft_coverage(inside: Tensor, p: Parameters) -> Tensor:
    """How much of the defect shows at each pixel (P, S, S), 0 … 1, falling off over the class's own softness."""
    return torch.sigmoid(inside * 2.5 / over_plane(p["soft_px"]))


def _local_level(plate: Tensor) -> Tensor:
    coarse = F.avg_pool2d(plate[:, None], 8, ceil_mode=True)
    return F.interpolate(coarse, plate.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def _tone(canvas: Canvas, p: Parameters) -> Tensor:
    count = len(p["contrast"])
    flips = torch.where(canvas.draw.chance(0.5, count), 1 - 2 * p["polarity_flips"], torch.ones_like(p["contrast"]))
    tone = over_plane(jittered(canvas.draw, p, "contrast", 0.25) * flips)
    coarse = canvas.draw.normal(count, 1, 7, 7)
    unevenness = F.interpolate(coarse, (canvas.size_px,) * 2, mode="bilinear", align_corners=False)[:, 0]
    return tone * (1 + over_plane(p["fade"]) * unevenness).clamp(0.1, 2)


def _inner_texture(canvas: Canvas, p: Parameters) -> Tensor:
    return over_plane(p["inner"]) * canvas.field(canvas.spectra.grain(p["inner_px"]))


def _relief(inside: Tensor, p: Parameters, light: Tensor) -> Tensor:
    """Bright on the flank that faces the light, dark on the other: the slope of a smooth height towards the light."""
    if not bool((p["relief"] > 0).any()):
        return torch.zeros((), device=inside.device)
    height = torch.sigmoid(inside / over_plane(p["relief_px"]))
    padded = F.pad(height[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    dx = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    dy = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    slope = dx * over_plane(light.cos()) + dy * over_plane(light.sin())
    return over_plane(p["relief"] * p["relief_px"]) * slope * 2


def annotate(inside: Tensor, part: Tensor, p: Parameters) -> Tensor:
    """Draw the mask as this class's annotator does.

    People outline: they bridge gaps (closing) and keep a margin. Both are the class's own, so that the support set
    tells how tight the query's mask has to be.

    Args:
        inside: (P, S, S) inside-ness of the defect in pixels.
        part: (P, S, S) inside-ness of the part; nothing is marked on the background.
        p: Class parameters, one entry per plate.

    Returns:
        (P, S, S) float32 in {0, 1}.
    """
    visible = (inside > 0).float()
    closing, margin = p["closing_px"].round().int() - 1, p["margin_px"].round().int() - 1
    masks = torch.empty_like(visible)
    for bridge, grow in {(int(c), int(m)) for c, m in zip(closing, margin, strict=True)}:
        chosen = (closing == bridge) & (margin == grow)
        masks[chosen] = dilated(dilated(visible[chosen], max(bridge, 0) + max(grow, 0)), -max(bridge, 0))
    return masks * (part > -1)

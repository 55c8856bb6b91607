"""Outlines of defects: where strokes, blobs and clouds of one class lie on each plate.

Every function maps (canvas, class parameters of P plates, inside-ness of the part) to the inside-ness of the defect,
(P, S, S) in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lerenet.synthetic.draw import Parameters, over_plane
from lerenet.synthetic.fields import rotated
from lerenet.synthetic.shapes import (
    Canvas,
    blob,
    cloud_patch,
    jittered,
    scattered,
    speckle,
    stroke,
    union,
    wander,
)


def _directions(canvas: Canvas, p: Parameters) -> Tensor:
    return p["angle"] + canvas.draw.normal(len(p["angle"])) * p["spread"] * 0.5


def _presence(canvas: Canvas, p: Parameters, most: int) -> Tensor:
    """(P, most) booleans: a Poisson-like number of pieces around the class's own count, at least one."""
    slots = torch.arange(most, device=canvas.draw.device)
    return slots[None] < (p["count"] * torch.exp(0.5 * canvas.draw.normal(len(p["count"]))))[:, None]


def strokes(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """Single lines, each in its own place: scratches."""
    count = len(p["angle"])
    shapes = []
    for _piece in range(4):
        length = jittered(canvas.draw, p, "length_px", 0.5)
        shapes.append(
            stroke(
                canvas,
                canvas.points(count),
                _directions(canvas, p),
                length,
                jittered(canvas.draw, p, "width_px"),
                wander(canvas.draw, count, length, p["bend"], p["jitter"]),
            )
        )
    return union(shapes, _presence(canvas, p, len(shapes)))


def bundle(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """Parallel strokes side by side, as one scrape or one strung-out inclusion leaves them."""
    count, middle = len(p["angle"]), canvas.points(len(p["angle"]), 0.2)
    direction = _directions(canvas, p) * 0.3 + p["angle"] * 0.7
    shapes = []
    for _piece in range(5):
        length = jittered(canvas.draw, p, "length_px", 0.5)
        centre = scattered(canvas, middle, p["size_px"] * 0.6, direction, 2.0)
        path = wander(canvas.draw, count, length, p["bend"], p["jitter"])
        shapes.append(stroke(canvas, centre, direction, length, jittered(canvas.draw, p, "width_px"), path))
    return union(shapes, _presence(canvas, p, len(shapes)))


def branches(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """A jagged trunk from which thinner cracks leave at an angle."""
    draw, count = canvas.draw, len(p["angle"])
    centre, direction = canvas.points(count, 0.2), _directions(canvas, p)
    length = jittered(draw, p, "length_px", 0.4)
    path = wander(draw, count, length, p["bend"], p["jitter"])
    shapes = [stroke(canvas, centre, direction, length, jittered(draw, p, "width_px"), path)]
    for _branch in range(3):
        knot = draw.integers(12, 52, count)
        along = (knot / 63 - 0.5) * length
        across = path.gather(1, knot[:, None])[:, 0]
        turn = direction + draw.sign(0.5, count) * draw.uniform(0.4, 1.2, count)
        reach = length * draw.uniform(0.15, 0.5, count)
        x = centre[:, 0] + along * direction.cos() - across * direction.sin() + reach / 2 * turn.cos()
        y = centre[:, 1] + along * direction.sin() + across * direction.cos() + reach / 2 * turn.sin()
        wandering = wander(draw, count, reach, p["bend"], p["jitter"])
        wandering = wandering - wandering[:, :1]
        shapes.append(stroke(canvas, torch.stack([x, y], 1), turn, reach, p["width_px"] * 0.6, wandering))
    return union(shapes, _presence(canvas, p, len(shapes)))


def blobs(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """Closed outlines, each in its own place: pits, dents, stains."""
    count = len(p["angle"])
    shapes = [_one_blob(canvas, p, canvas.points(count)) for _piece in range(4)]
    return union(shapes, _presence(canvas, p, len(shapes)))


def _one_blob(canvas: Canvas, p: Parameters, centre: Tensor) -> Tensor:
    radius = jittered(canvas.draw, p, "size_px", 0.35)
    return blob(canvas, centre, radius, p["elongation"], _directions(canvas, p), p["ragged"])


def cluster(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """Small ragged pieces close together: pitting, spalling."""
    count, middle = len(p["angle"]), canvas.points(len(p["angle"]))
    radius, direction = jittered(canvas.draw, p, "size_px", 0.35), _directions(canvas, p)
    shapes = []
    for _piece in range(6):
        centre = scattered(canvas, middle, radius, direction, 1.4)
        size = radius * canvas.draw.uniform(0.2, 0.8, count)
        shapes.append(blob(canvas, centre, size, p["elongation"], direction, p["ragged"]))
    return union(shapes, _presence(canvas, p, len(shapes)))


def patches(canvas: Canvas, p: Parameters, part: Tensor) -> Tensor:
    """Blobs with an outline broken up by a cloud: patches, scale, rust."""
    return cloud_patch(canvas, blobs(canvas, p, part), p["slope"], p["size_px"] * 0.35)


def speckles(canvas: Canvas, p: Parameters, part: Tensor) -> Tensor:
    """Many small spots inside a patch: spot clusters, fraying."""
    return speckle(canvas, patches(canvas, p, part), p["width_px"] * 0.6, 0.08 + 0.3 * p["ragged"])


def stripe(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """A band right across the plate with a wavering edge."""
    draw, count = canvas.draw, len(p["angle"])
    _, across = rotated(canvas.x - canvas.size_px / 2, canvas.y - canvas.size_px / 2, p["angle"])
    middle = over_plane(draw.uniform(-0.42, 0.42, count) * canvas.size_px)
    wave = canvas.field(canvas.spectra.streaks(p["angle"], p["length_px"] * 0.3, p["length_px"] * 0.3))
    return over_plane(jittered(draw, p, "size_px", 0.3)) - (across - middle).abs() + wave * over_plane(p["ragged"] * 4)


def flank(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """Everything on one side of a wavering line, as far as `size_px` from the plate's border: uneven grinding."""
    draw, count = canvas.draw, len(p["angle"])
    middle = canvas.size_px / 2
    side = p["angle"] + torch.pi / 2 * draw.integers(0, 4, count)
    along, _across = rotated(canvas.x - middle, canvas.y - middle, side)
    depth = jittered(draw, p, "size_px", 0.3).clamp_max(1.2 * middle)
    wave = canvas.field(canvas.spectra.cloud(1.2 + 0.5 * p["ragged"])) * over_plane(p["ragged"])
    return along - middle + over_plane(depth) + wave * 0.25 * over_plane(depth)


def repeats(canvas: Canvas, p: Parameters, _: Tensor) -> Tensor:
    """The same mark at an even pitch, as a damaged roll prints it."""
    count, start = len(p["angle"]), canvas.points(len(p["angle"]), 0.05)
    pitch = p["size_px"] * 3 + p["length_px"] * 0.25
    shapes = []
    for step in range(-2, 3):
        shift = torch.stack([p["angle"].cos(), p["angle"].sin()], 1) * (pitch * step)[:, None]
        shapes.append(blob(canvas, start + shift, p["size_px"], p["elongation"], p["angle"], p["ragged"] * 0.4))
    return union(shapes, torch.ones(count, 5, dtype=torch.bool, device=canvas.draw.device))


def chips(canvas: Canvas, p: Parameters, part: Tensor) -> Tensor:
    """Bites out of the part's edge; in the open plate where there is no edge."""
    nearest = (part.abs() + 40 * canvas.draw.uniform(0, 1, *part.shape)).flatten(1).argmin(1)
    on_edge = torch.stack([nearest % canvas.size_px, nearest // canvas.size_px], 1).float()
    centre = torch.where((part.amin((1, 2)) < 0)[:, None], on_edge, canvas.points(len(part)))
    return _one_blob(canvas, p, centre)

"""Defect families: an outline, a look, and the way an annotator draws around it.

A class is one point in its family's ranges. Its plates share that point and differ in place, number and size. All
families share one look model, so that nothing but shape and parameters tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from lerenet.synthetic import outlines
from lerenet.synthetic.draw import Draw, Parameters, Range
from lerenet.synthetic.shapes import Canvas

Outline = Callable[[Canvas, Parameters, Tensor], Tensor]
"""(canvas, class parameters of P plates, inside-ness of the part) to the inside-ness of the defect, (P, S, S)."""

_COMMON: dict[str, Range] = {
    "size_px": (5, 40),  # radius of a round defect
    "width_px": (1.2, 7),
    "length_px": (25, 220),
    "count": (0.6, 3.4),
    "elongation": (1.0, 2.5),
    "ragged": (0.05, 0.9),
    "bend": (0.0, 0.5),
    "jitter": (0.0, 0.1),
    "slope": (1.1, 2.2),
    "spread": (0.05, 1.6),  # radians of scatter around the class's own direction
    "contrast": (0.08, 0.45),
    "bright": (0.4, 0.4),  # probability of being brighter than the surface
    "cover": (0.0, 0.5),  # share of the surface texture that the defect hides
    "soft_px": (0.2, 1.2),
    "inner": (0.0, 0.08),
    "inner_px": (0.4, 2.0),
    "relief": (0.0, 0.0),
    "relief_px": (1.5, 5),
    "rim": (-0.12, 0.12),
    "fade": (0.0, 0.5),  # how unevenly the contrast runs along the defect
    "variety": (0.0, 0.5),  # standard deviation, in logarithms, of what a class shows from plate to plate
    "stain": (-0.2, 0.2),  # shift to rust, or away from it, where the episode is in colour
    "margin_px": (0.4, 4.0),  # how far outside the outline the annotator draws
    "closing_px": (0.3, 2.0),  # gaps up to twice this are bridged by the annotation
}


@dataclass(frozen=True)
class DefectFamily:
    """One kind of defect: its outline and how its ranges differ from the common ones."""

    name: str
    outline: Outline
    ranges: dict[str, Range] = field(default_factory=dict)


FAMILIES: tuple[DefectFamily, ...] = (
    DefectFamily(
        "scratch",
        outlines.strokes,
        {
            "width_px": (1.0, 14),
            "bend": (0.0, 0.25),
            "spread": (0.0, 0.4),
            "jitter": (0.0, 0.03),
            "bright": (0.65, 0.65),
            "contrast": (0.04, 0.55),
            "fade": (0.0, 0.9),
            "soft_px": (0.2, 4),
            "inner": (0.0, 0.12),
            "count": (0.6, 4.0),
        },
    ),
    DefectFamily(
        "scrape",
        outlines.bundle,
        {
            "width_px": (1.0, 6),
            "bend": (0.0, 0.15),
            "count": (2, 5),
            "spread": (0.0, 0.3),
            "bright": (0.6, 0.6),
            "closing_px": (0.4, 6),
            "fade": (0.0, 0.9),
            "soft_px": (0.2, 3),
            "inner": (0.0, 0.12),
        },
    ),
    DefectFamily(
        "crack",
        outlines.branches,
        {
            "width_px": (1.0, 4),
            "bend": (0.1, 0.7),
            "jitter": (0.1, 0.9),
            "bright": (0.08, 0.08),
            "contrast": (0.06, 0.45),
            "rim": (0.0, 0.0),
        },
    ),
    DefectFamily(
        "inclusion",
        outlines.bundle,
        {
            "width_px": (1.5, 7),
            "length_px": (10, 90),
            "size_px": (4, 20),
            "count": (1, 5),
            "spread": (0.0, 0.3),
            "bright": (0.15, 0.15),
            "closing_px": (0.5, 6),
            "jitter": (0.05, 0.4),
            "fade": (0.2, 0.9),
        },
    ),
    DefectFamily(
        "pit",
        outlines.blobs,
        {
            "size_px": (2.2, 14),
            "bright": (0.1, 0.1),
            "contrast": (0.12, 0.5),
            "elongation": (1.0, 2.0),
            "rim": (-0.1, 0.3),
        },
    ),
    DefectFamily(
        "pitting",
        outlines.cluster,
        {
            "size_px": (5, 28),
            "count": (2, 7),
            "bright": (0.08, 0.08),
            "contrast": (0.1, 0.5),
            "ragged": (0.3, 1.2),
            "cover": (0.2, 0.9),
            "closing_px": (0.5, 7),
            "inner": (0.0, 0.15),
        },
    ),
    DefectFamily("patch", outlines.patches, {"size_px": (12, 60), "contrast": (0.06, 0.35)}),
    DefectFamily(
        "scale",
        outlines.patches,
        {
            "size_px": (10, 50),
            "slope": (0.8, 1.5),
            "inner": (0.02, 0.15),
            "rim": (-0.25, 0.25),
            "closing_px": (0.5, 4),
            "bright": (0.2, 0.2),
        },
    ),
    DefectFamily(
        "rust",
        outlines.patches,
        {"size_px": (8, 45), "stain": (0.2, 0.7), "inner": (0.02, 0.12), "bright": (0.2, 0.2), "soft_px": (0.3, 2.5)},
    ),
    DefectFamily(
        "stain",
        outlines.blobs,
        {
            "size_px": (8, 50),
            "soft_px": (1, 5),
            "cover": (0.0, 0.2),
            "contrast": (0.06, 0.3),
            "inner": (0.0, 0.02),
            "bright": (0.3, 0.3),
        },
    ),
    DefectFamily(
        "roughness",
        outlines.patches,
        {
            "size_px": (12, 50),
            "contrast": (0.0, 0.05),
            "inner": (0.06, 0.2),
            "inner_px": (0.4, 1.6),
            "cover": (0.3, 0.9),
            "closing_px": (0.5, 4),
        },
    ),
    DefectFamily(
        "rub",
        outlines.patches,
        {
            "size_px": (12, 60),
            "contrast": (0.02, 0.15),
            "inner": (0.0, 0.01),
            "cover": (0.7, 1.0),
            "bright": (0.6, 0.6),
            "elongation": (1.0, 5),
        },
    ),
    DefectFamily(
        "spots",
        outlines.speckles,
        {
            "size_px": (10, 45),
            "width_px": (2, 6),
            "contrast": (0.12, 0.5),
            "closing_px": (0.5, 6),
            "ragged": (0.1, 0.8),
        },
    ),
    DefectFamily(
        "dent",
        outlines.blobs,
        {
            "size_px": (6, 35),
            "relief": (0.15, 0.6),
            "contrast": (0.0, 0.1),
            "cover": (0.0, 0.1),
            "soft_px": (1, 3),
            "ragged": (0.0, 0.3),
        },
    ),
    DefectFamily(
        "bump",
        outlines.cluster,
        {"size_px": (6, 30), "relief": (0.15, 0.5), "contrast": (0.0, 0.15), "cover": (0.0, 0.2), "bright": (0.7, 0.7)},
    ),
    DefectFamily("stripe", outlines.stripe, {"size_px": (3, 28), "contrast": (0.08, 0.4), "soft_px": (0.4, 4)}),
    DefectFamily(
        "shade",
        outlines.blobs,
        {
            "size_px": (25, 75),
            "soft_px": (2, 6),
            "contrast": (0.05, 0.25),
            "cover": (0.0, 0.1),
            "inner": (0.0, 0.0),
            "ragged": (0.0, 0.5),
            "rim": (0.0, 0.0),
            "elongation": (1.0, 3.0),
        },
    ),
    DefectFamily(
        "uneven",
        outlines.flank,
        {
            "size_px": (20, 120),
            "soft_px": (1, 8),
            "contrast": (0.04, 0.3),
            "cover": (0.0, 0.4),
            "inner": (0.0, 0.04),
            "ragged": (0.0, 0.6),
            "rim": (0.0, 0.0),
            "bright": (0.5, 0.5),
        },
    ),
    DefectFamily("roll_mark", outlines.repeats, {"size_px": (4, 16), "contrast": (0.1, 0.4)}),
    DefectFamily(
        "chip",
        outlines.chips,
        {
            "size_px": (6, 45),
            "ragged": (0.3, 1.2),
            "cover": (0.5, 1.0),
            "inner": (0.0, 0.12),
            "contrast": (0.15, 0.5),
            "bright": (0.3, 0.3),
        },
    ),
    DefectFamily(
        "fray",
        outlines.speckles,
        {"size_px": (15, 55), "width_px": (3, 9), "contrast": (0.1, 0.4), "closing_px": (3, 9), "margin_px": (0.5, 4)},
    ),
)


def sample_defect(draw: Draw) -> tuple[int, dict[str, float]]:
    """Draw one defect class: the index of its family, and a point within the family's ranges."""
    index = int(draw.integers(0, len(FAMILIES), 1))
    parameters = draw.within(_COMMON | FAMILIES[index].ranges)
    parameters["contrast"] *= float(draw.sign(parameters["bright"], 1))
    parameters["angle"] = float(draw.uniform(0, math.pi, 1))
    parameters["aligned"] = float(draw.chance(0.6, 1))  # defects of rolling and grinding follow the grain
    parameters["polarity_flips"] = float(draw.chance(0.08, 1))
    return index, parameters

"""What annotation tools let people draw, each drawn at the size of its image."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

import numpy as np

from lerenet.errors import InvalidMask
from lerenet.formats.brush import decode_brush
from lerenet.formats.polygons import checked_polygons, fill_polygons
from lerenet.imaging import ImageLimits, Mask, decode_coco_rle, decode_mask

N_CORNERS_OF_A_CIRCLE = 180


@dataclass(frozen=True, eq=False)
class Polygons:
    """Closed polygons, x1, y1, x2, y2, ... in pixels each."""

    points: Any

    def draw(self, height: int, width: int) -> Mask:
        """Fills them; see `polygons`."""
        return fill_polygons(checked_polygons(self.points), height, width)


@dataclass(frozen=True, eq=False)
class Runs:
    """COCO RLE, compressed or not."""

    rle: Mapping[str, object]

    def draw(self, height: int, width: int) -> Mask:
        """Decodes it.

        Raises:
            InvalidMask: It is of another size, or does not add up.
        """
        if self.rle.get("size") != [height, width]:
            raise InvalidMask(f"COCO RLE: size is {self.rle.get('size')!r:.60}; the image has [{height}, {width}]")
        return decode_coco_rle(self.rle)


@dataclass(frozen=True, eq=False)
class Brush:
    """A brush of Label Studio."""

    rle: object

    def draw(self, height: int, width: int) -> Mask:
        """Decodes it; see `brush`."""
        return decode_brush(self.rle, height, width)


@dataclass(frozen=True, eq=False)
class Crop:
    """A mask of a part of the image: a PNG in base64, and where its upper left pixel lies."""

    png: str
    x: int
    y: int

    def draw(self, height: int, width: int) -> Mask:
        """Pastes it.

        Raises:
            InvalidMask: It passes the border.
        """
        part = decode_mask(b64decode(self.png), ImageLimits())
        bottom, right = self.y + part.shape[0], self.x + part.shape[1]
        if min(self.x, self.y) < 0 or bottom > height or right > width:
            raise InvalidMask(
                f"a mask of {part.shape[0]} x {part.shape[1]} px at ({self.x}, {self.y}) passes the border"
            )
        mask = np.zeros((height, width), np.uint8)
        mask[self.y : bottom, self.x : right] = part
        return mask


def rectangle(x: float, y: float, width: float, height: float, degrees: float = 0.0) -> Polygons:
    """A rectangle in pixels, turned clockwise around its corner (x, y)."""
    right, down = (
        (cos(degrees * pi / 180), sin(degrees * pi / 180)),
        (-sin(degrees * pi / 180), cos(degrees * pi / 180)),
    )
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return Polygons([[part for a, b in corners for part in _moved(x, y, a, right, b, down)]])


def circle(x: float, y: float, radius: float) -> Polygons:
    """A circle in pixels."""
    angles = (2 * pi * i / N_CORNERS_OF_A_CIRCLE for i in range(N_CORNERS_OF_A_CIRCLE))
    return Polygons([[part for angle in angles for part in (x + radius * cos(angle), y + radius * sin(angle))]])


def _moved(
    x: float, y: float, a: float, right: Sequence[float], b: float, down: Sequence[float]
) -> tuple[float, float]:
    return x + a * right[0] + b * down[0], y + a * right[1] + b * down[1]

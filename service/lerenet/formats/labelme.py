"""LabelMe: one JSON file beside each image, with polygons, rectangles, circles and masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import hypot
from pathlib import Path
from typing import Any

from lerenet.errors import DatasetError
from lerenet.formats.annotated import AnnotatedImage, Shape
from lerenet.formats.json_files import required, size_px
from lerenet.formats.polygons import is_corner
from lerenet.formats.shapes import Crop, Polygons, circle, rectangle

Points = list[tuple[float, float]]


def read_labelme(content: Any, path: Path) -> AnnotatedImage:
    """The image of one file.

    Args:
        content: Of the file, parsed.
        path: For messages.

    Raises:
        DatasetError: A field is missing or of another type, or a shape has no area.
    """
    shapes: dict[str, list[Shape]] = defaultdict(list)
    for i, each in enumerate(required(content, "shapes", list, str(path))):
        where = f"{path}, shapes[{i}]"
        shapes[required(each, "label", str, where)].append(_shape(each, where))
    file_name = required(content, "imagePath", str, str(path))
    return AnnotatedImage(str(path), (file_name,), *size_px(content, "imageHeight", "imageWidth", str(path)), shapes)


def _shape(shape: Any, where: str) -> Shape:
    kind = shape.get("shape_type", "polygon")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DatasetError(f"{where}: shape_type is {kind!r:.40}, which marks no area: draw one of {', '.join(_KINDS)}")
    n_points, build = _KINDS[kind]
    points = _points(shape, where)
    if len(points) < n_points or (kind != "polygon" and len(points) > n_points):
        raise DatasetError(f"{where}: a {kind} of {len(points)} points")
    return build(points, shape, where)


def _points(shape: Any, where: str) -> Points:
    points = required(shape, "points", list, where)
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(map(is_corner, point)):
            raise DatasetError(f"{where}: a point is {point!r:.40}; it is [x, y] in pixels")
    return [(x, y) for x, y in points]


def _polygon(points: Points, shape: Any, where: str) -> Shape:
    return Polygons([[part for point in points for part in point]])


def _rectangle(points: Points, shape: Any, where: str) -> Shape:
    (left, top), (right, bottom) = points
    return rectangle(left, top, right - left, bottom - top)


def _circle(points: Points, shape: Any, where: str) -> Shape:
    (x, y), (edge_x, edge_y) = points
    return circle(x, y, hypot(edge_x - x, edge_y - y))


def _mask(points: Points, shape: Any, where: str) -> Shape:
    return Crop(required(shape, "mask", str, where), int(points[0][0]), int(points[0][1]))


_KINDS: dict[str, tuple[int, Callable[[Points, Any, str], Shape]]] = {
    "polygon": (3, _polygon),
    "rectangle": (2, _rectangle),
    "circle": (2, _circle),
    "mask": (2, _mask),
}
"""How many points each has, at least for a polygon, and what it becomes."""

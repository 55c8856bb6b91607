"""Label Studio's JSON export: brushes, polygons and rectangles of each task.

Of several annotations of a task the one marked as ground truth counts, else the last that was not cancelled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from re import sub
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lerenet.errors import DatasetError
from lerenet.formats.annotated import AnnotatedImage, Shape
from lerenet.formats.json_files import number, required, size_px
from lerenet.formats.shapes import Brush, Polygons, rectangle


def read_label_studio(content: Any, path: Path) -> list[AnnotatedImage]:
    """The tasks that have something drawn on an image.

    Args:
        content: Of the file, parsed.
        path: For messages.

    Raises:
        DatasetError: A field is missing or of another type.
    """
    tasks = ((f"{path}, task {i}", task) for i, task in enumerate(content))
    return [image for where, task in tasks for image in _images(task, where)]


def _images(task: Any, where: str) -> Iterator[AnnotatedImage]:
    """None or one: a task may have no annotation, or one in which nothing is drawn."""
    shapes: dict[str, list[Shape]] = defaultdict(list)
    sizes: set[tuple[int, int]] = set()
    for place, result in enumerate(_results(task, where)):
        kind = result.get("type") if isinstance(result, dict) else None
        if not isinstance(kind, str) or kind not in _KINDS:
            continue
        at = f"{where}, result {place}"
        height, width = size_px(result, "original_height", "original_width", at)
        if result.get("image_rotation"):
            raise DatasetError(f"{at}: image_rotation is {result['image_rotation']}: turn the image file instead")
        sizes.add((height, width))
        value = required(result, "value", dict, at)
        for label in required(value, kind, list, at):
            shapes[str(label)].append(_KINDS[kind](value, height, width, at))
    if len(sizes) > 1:
        raise DatasetError(f"{where}: shapes on images of several sizes; one image per task is read")
    if shapes:
        yield AnnotatedImage(where, _file_names(task, where), *sizes.pop(), shapes)


def _results(task: Any, where: str) -> list[Any]:
    kept = [
        each
        for each in required(task, "annotations", list, where)
        if isinstance(each, dict) and not each.get("was_cancelled")
    ]
    if not kept:
        return []
    chosen = next((each for each in kept if each.get("ground_truth")), kept[-1])
    return required(chosen, "result", list, where)


def _file_names(task: Any, where: str) -> list[str]:
    """The name of the first image in the task's data; uploads have eight hex digits before it, which may be gone."""
    for value in required(task, "data", dict, where).values():
        if isinstance(value, str) and PurePosixPath(name := _path_in(value)).suffix:
            stem = PurePosixPath(name).name
            return list(dict.fromkeys((name.lstrip("/"), stem, sub(r"^[0-9a-f]{8}-", "", stem))))
    raise DatasetError(f"{where}: data holds no path or address of an image")


def _path_in(address: str) -> str:
    """The path in an address, or the file that Label Studio serves from a local folder under it."""
    parts = urlsplit(address)
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def _brush(value: Any, height: int, width: int, where: str) -> Shape:
    return Brush(value.get("rle"))


def _polygon(value: Any, height: int, width: int, where: str) -> Shape:
    points = required(value, "points", list, where)
    try:
        return Polygons([[part for x, y in points for part in (x * width / 100, y * height / 100)]])
    except (TypeError, ValueError, OverflowError) as err:
        raise DatasetError(f"{where}: points are pairs of percentages") from err


def _rectangle(value: Any, height: int, width: int, where: str) -> Shape:
    x, y, w, h = (number(value, name, where) / 100 for name in ("x", "y", "width", "height"))
    degrees = number(value, "rotation", where) if value.get("rotation") else 0.0
    return rectangle(x * width, y * height, w * width, h * height, degrees)


_KINDS: dict[str, Callable[[Any, int, int, str], Shape]] = {
    "brushlabels": _brush,
    "polygonlabels": _polygon,
    "rectanglelabels": _rectangle,
}

"""COCO annotation files: `images`, `annotations` and `categories`; polygons, compressed and uncompressed RLE."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from lerenet.errors import DatasetError
from lerenet.formats.annotated import AnnotatedImage, Shape
from lerenet.formats.json_files import required, size_px
from lerenet.formats.shapes import Polygons, Runs


def read_coco(content: Any, path: Path) -> list[AnnotatedImage]:
    """The images that have annotations, in the order of the file.

    Args:
        content: Of the file, parsed.
        path: For messages.

    Raises:
        DatasetError: A field is missing or of another type, or refers to nothing.
    """
    names = {
        required(each, "id", int, where): required(each, "name", str, where)
        for where, each in _entries(content, "categories", path)
    }
    shapes: dict[int, dict[str, list[Shape]]] = defaultdict(lambda: defaultdict(list))
    for where, each in _entries(content, "annotations", path):
        category = required(each, "category_id", int, where)
        if category not in names:
            raise DatasetError(f"{where}: category_id {category} is none of the categories")
        shapes[required(each, "image_id", int, where)][names[category]].append(_shape(each, where))
    images = {required(each, "id", int, where): (where, each) for where, each in _entries(content, "images", path)}
    missing = sorted(shapes.keys() - images.keys())
    if missing:
        raise DatasetError(f"{path}: image_id {missing[0]} of an annotation is none of the images")
    return [_image(where, each, shapes[key]) for key, (where, each) in images.items() if key in shapes]


def _entries(content: Any, name: str, path: Path) -> list[tuple[str, Any]]:
    return [(f"{path}, {name}[{i}]", each) for i, each in enumerate(required(content, name, list, str(path)))]


def _shape(annotation: Any, where: str) -> Shape:
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        return Runs(shape)
    if not isinstance(shape, list) or not shape:
        raise DatasetError(f"{where}: segmentation is {shape!r:.40}: polygons or RLE are needed, a box is no mask")
    return Polygons(shape)


def _image(where: str, image: Any, shapes: dict[str, list[Shape]]) -> AnnotatedImage:
    file_name = required(image, "file_name", str, where)
    return AnnotatedImage(f"{where} ({file_name})", (file_name,), *size_px(image, "height", "width", where), shapes)

"""Annotation files, told apart by what is in them."""

from __future__ import annotations

from pathlib import Path

from lerenet.errors import DatasetError
from lerenet.formats.annotated import AnnotatedImage
from lerenet.formats.coco_file import read_coco
from lerenet.formats.json_files import load_json
from lerenet.formats.label_studio_export import read_label_studio
from lerenet.formats.labelme import read_labelme


def read_annotations(path: Path) -> list[AnnotatedImage]:
    """Reads a COCO annotation file, a Label Studio export, a LabelMe file, or a folder of LabelMe files.

    Raises:
        DatasetError: It is none of them, or damaged; the detail says where.
        OSError: It cannot be read.
    """
    if path.is_dir():
        found = [image for file in sorted(path.glob("*.json")) for image in _read_file(file)]
        if not found:
            raise DatasetError(f"{path} holds no .json files: name a folder of LabelMe files, or a file")
        return found
    return _read_file(path)


def _read_file(path: Path) -> list[AnnotatedImage]:
    content = load_json(path)
    if isinstance(content, dict) and "shapes" in content:
        return [read_labelme(content, path)]
    if isinstance(content, dict) and "annotations" in content:
        return read_coco(content, path)
    if isinstance(content, list) and content and all(isinstance(each, dict) for each in content):
        if "annotations" in content[0]:
            return read_label_studio(content, path)
        raise DatasetError(f"{path}: tasks without annotations: export from Label Studio as JSON, not as JSON-MIN")
    raise DatasetError(f"{path} is no COCO annotation file, no LabelMe file and no Label Studio export")

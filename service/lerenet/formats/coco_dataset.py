"""COCO annotation files of our own: one class, its images and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lerenet.formats.coco_results import coco_result
from lerenet.imaging import Mask

CATEGORY_ID = 1


def coco_dataset(name: str, shots: Sequence[tuple[str, Mask]]) -> dict[str, Any]:
    """The content of an annotation file.

    Args:
        name: Of the class.
        shots: File name of each image, and its mask, (H, W) uint8 in {0, 1}.
    """
    images = [
        {"id": i, "file_name": file_name, "height": mask.shape[0], "width": mask.shape[1]}
        for i, (file_name, mask) in enumerate(shots, 1)
    ]
    return {
        "images": images,
        "annotations": [_annotation(i, mask) for i, (_, mask) in enumerate(shots, 1)],
        "categories": [{"id": CATEGORY_ID, "name": name}],
    }


def _annotation(index: int, mask: Mask) -> dict[str, object]:
    marked: dict[str, object] = {**coco_result(mask, image_id=index, category_id=CATEGORY_ID, score=1.0)}
    del marked["score"]
    return {"id": index, "iscrowd": 0, **marked}

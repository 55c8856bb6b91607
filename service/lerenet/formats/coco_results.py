"""COCO results: what was found, one entry for each class and image."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from lerenet.formats.boxes import mask_box
from lerenet.imaging import CocoRle, Mask, encode_coco_rle


class CocoResult(TypedDict):
    """What was found of one class in one image, as COCO's evaluation reads it; boxes are [x, y, w, h] in pixels."""

    image_id: int
    category_id: int
    segmentation: CocoRle
    area: int
    bbox: list[int]
    score: float


def coco_result(mask: Mask, *, image_id: int, category_id: int, score: float) -> CocoResult:
    """A mask as one entry of a COCO results file.

    Args:
        mask: (H, W) uint8 in {0, 1}.
        image_id: Of the file's `images`.
        category_id: Of its `categories`.
        score: 0 to 1.
    """
    return {
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": encode_coco_rle(mask),
        "area": int(np.count_nonzero(mask)),
        "bbox": list(mask_box(mask) or (0, 0, 0, 0)),
        "score": score,
    }

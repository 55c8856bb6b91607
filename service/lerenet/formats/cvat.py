"""CVAT's automatic annotation: a mask as a flat list.

The list holds 0 and 1 of the box around the mask, row by row, and then the box itself as xtl, ytl, xbr, ybr, of which
the last two are inclusive. CVAT documents it only in cvat-ai/cvat#7943.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from lerenet.formats.boxes import Box
from lerenet.imaging import Mask


class CvatShape(TypedDict):
    """One item of the list that CVAT expects.

    Attributes:
        type: Always `mask`.
        label: Name of the class.
        confidence: 0 to 1, as text.
        mask: Pixels of the box, then the box.
    """

    type: Literal["mask"]
    label: str
    confidence: str
    mask: list[int]


def cvat_shape(mask: Mask, box: Box, label: str, score: float) -> CvatShape:
    """A mask as CVAT reads it.

    Args:
        mask: (H, W) uint8 in {0, 1}.
        box: (x, y, w, h) around it, in pixels.
        label: Name of the class.
        score: 0 to 1.
    """
    x, y, width, height = box
    pixels: list[int] = mask[y : y + height, x : x + width].ravel().tolist()
    corners = [x, y, x + width - 1, y + height - 1]
    return {"type": "mask", "label": label, "confidence": f"{score:g}", "mask": pixels + corners}

"""CVAT's automatic annotation: a mask as a flat list.

The list holds 0 and 1 of the box around the mask, row by row, and then the box itself as xtl, ytl, xbr, ybr, of which
the last two are inclusive. CVAT documents it only in cvat-ai/cvat#7943.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from lerenet.errors import NotAcceptable
from lerenet.formats.boxes import Box
from lerenet.imaging import Mask

MAX_BOX_PIXELS = 1 << 24
"""Each is a number in the JSON: twice as many bytes, and several times that while it is written."""


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

    Raises:
        NotAcceptable: The box has more than `MAX_BOX_PIXELS`.
    """
    x, y, width, height = box
    if width * height > MAX_BOX_PIXELS:
        detail = (
            f"the box around the mask is {height} x {width} px (H x W), and CVAT's list of pixels has {MAX_BOX_PIXELS}"
            " at most: look at parts with roi, or ask for another format"
        )
        raise NotAcceptable(detail)
    pixels: list[int] = mask[y : y + height, x : x + width].ravel().tolist()
    corners = [x, y, x + width - 1, y + height - 1]
    return {"type": "mask", "label": label, "confidence": f"{score:g}", "mask": pixels + corners}

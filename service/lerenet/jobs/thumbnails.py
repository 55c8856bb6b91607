"""Small pictures for the report."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

import PIL.Image
from PIL.ImageDraw import Draw

from lerenet.imaging import Image

SIDE_PX = 320

_QUALITY = 82
_MARGIN_PX = 2
_N_BOXES = 50  # more would hide the plate


def encode_thumbnail(image: Image, boxes: Iterable[tuple[tuple[int, int, int, int], bytes]]) -> bytes:
    """A JPEG of at most `SIDE_PX` a side. What is marked is framed, since a hair scratch does not survive shrinking.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes: `[x, y, w, h]` in its pixels, each with the RGB of its frame, three bytes.
    """
    picture = PIL.Image.fromarray(image)
    full_width = picture.width
    picture.thumbnail((SIDE_PX, SIDE_PX))
    scale = picture.width / full_width
    draw = Draw(picture)
    for (x, y, width, height), colour in list(boxes)[:_N_BOXES]:
        corners = (x * scale, y * scale, (x + width) * scale, (y + height) * scale)
        left, top, right, bottom = map(round, corners)
        around = (left - _MARGIN_PX, top - _MARGIN_PX, right + _MARGIN_PX, bottom + _MARGIN_PX)
        draw.rectangle(around, outline=(colour[0], colour[1], colour[2]))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()

"""Which of the four image types a file is of."""

from __future__ import annotations

from typing import Literal

ImageType = Literal["png", "jpeg", "bmp", "tiff"]

_MAGICS: dict[bytes, ImageType] = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}


def image_type(data: bytes) -> ImageType:
    """The type by the first bytes of a file that was accepted; also the second half of its media type."""
    return next((kind for magic, kind in _MAGICS.items() if data.startswith(magic)), "tiff")

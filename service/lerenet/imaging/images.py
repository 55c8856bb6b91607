"""Images: uint8 arrays, (H, W) grey or (H, W, 3) RGB, as displayed."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lerenet.errors import MalformedRequest, UnsupportedImage
from lerenet.imaging.limits import ImageLimits
from lerenet.imaging.reading import UprightImage, read_upright

__all__ = ["Image", "ImageLimits", "decode_image", "encode_image_png"]

Image = NDArray[np.uint8]

_PNG_LEVEL = 1


def decode_image(data: bytes, limits: ImageLimits, *, bits: int = 16, pointer: str | None = None) -> Image:
    """Decodes an image as displayed: EXIF orientation applied, palettes expanded, alpha dropped.

    Args:
        data: A JPEG, PNG, BMP or single-page TIFF, told by content.
        limits: Held against the header, before any pixel is decoded.
        bits: Depth of the sensor behind 16-bit grey, 12 or 16: value v becomes `min(v >> (bits - 8), 255)`.
        pointer: Where in the request the file lies.

    Returns:
        (H, W) uint8 for grey files, (H, W, 3) uint8 RGB for all others; a new writable array.

    Raises:
        MalformedRequest: `bits` is neither 12 nor 16.
        UnsupportedImage: Another type, several pages, or values that have no 8-bit meaning (32-bit, float).
        ImageTooLarge: Over the limits.
        UndecodableImage: Empty, truncated or damaged.
    """
    if bits not in (12, 16):
        raise MalformedRequest(f"bits={bits}: the depth of 16-bit grey is 12 or 16")
    source = read_upright(data, limits, pointer=pointer)
    if source.pixels.mode.startswith("I;16"):
        return _scaled(source, bits)
    _refuse_unscalable(source, bits, pointer)
    return np.array(_eight_bit(source.pixels))


def encode_image_png(image: Image) -> bytes:
    """Encodes an image without loss.

    Args:
        image: (H, W) or (H, W, 3) RGB uint8.
    """
    buffer = BytesIO()
    PIL.Image.fromarray(image).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _scaled(source: UprightImage, bits: int) -> Image:
    values: NDArray[np.uint16] = np.asarray(source.pixels)
    shift = min(bits, source.bit_depth) - 8
    scaled: Image = np.minimum(values >> shift, 255).astype(np.uint8)
    return scaled


def _refuse_unscalable(source: UprightImage, bits: int, pointer: str | None) -> None:
    mode = source.pixels.mode
    if mode in ("I", "F"):
        raise UnsupportedImage("32-bit or signed values: send 8-bit, or unsigned 16-bit grey", pointer=pointer)
    if source.bit_depth > 8 and bits != 16:
        # Pillow has kept the upper eight of sixteen bits, so a 12-bit sensor's colours would come out all but black.
        raise UnsupportedImage(f"bits={bits} holds for grey: send this colour image with 8 bits", pointer=pointer)


def _eight_bit(pixels: PIL.Image.Image) -> PIL.Image.Image:
    if pixels.mode == "RGB":  # Pillow would copy it
        return pixels
    if pixels.mode in ("L", "LA", "La"):
        return pixels.getchannel(0)
    pixels.info.pop("transparency", None)  # alpha is dropped, so a palette's need not be converted
    return pixels.convert("L" if pixels.mode == "1" else "RGB")

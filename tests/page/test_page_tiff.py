"""TIFF, which browsers do not show, is shown by the page's own reader."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from lerenet.imaging import ImageLimits, decode_image
from lerenet.imaging.overlay import as_rgb

if TYPE_CHECKING:
    from page.browsing import User

DECODED = """async (file) => {
  const { decodeTiff } = await import('./static/tiff.js');
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  const { data, height, width } = await decodeTiff(bytes.buffer);
  return [height, width, [...data].map((value) => value.toString(16).padStart(2, '0')).join('')];
}"""
HEIGHT, WIDTH = 61, 83


def tiff(mode: str, **options: Any) -> bytes:
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) + rng.integers(0, 40, (HEIGHT, WIDTH))
    if mode == "I;16":
        image = PIL.Image.fromarray((ramp * 300).astype(np.uint16))
    else:
        rgb = np.stack([ramp, 255 - ramp, ramp // 2], axis=2).clip(0, 255).astype(np.uint8)
        image = PIL.Image.fromarray(rgb).convert(mode)
    buffer = BytesIO()
    image.save(buffer, "TIFF", **options)
    return buffer.getvalue()


FILES = {
    "grey": tiff("L"),
    "16-bit grey": tiff("I;16"),
    "16-bit grey, deflate": tiff("I;16", compression="tiff_adobe_deflate"),
    "lzw": tiff("RGB", compression="tiff_lzw"),
    "lzw with predictor": tiff("RGB", compression="tiff_lzw", tiffinfo={317: 2}),
    "deflate": tiff("L", compression="tiff_adobe_deflate"),
    "packbits": tiff("L", compression="packbits"),
    "palette": tiff("P"),
    "several strips": tiff("RGB", compression="tiff_lzw", tiffinfo={278: 16}),
    **{f"orientation {i}": tiff("L", tiffinfo={274: i}) for i in range(2, 9)},
}


def test_pixels_are_those_that_the_service_sees(user: User) -> None:
    for name, data in FILES.items():
        height, width, text = user.page.evaluate(DECODED, b64encode(data).decode())
        shown = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(height, width, 4)

        np.testing.assert_array_equal(shown[..., :3], as_rgb(decode_image(data, ImageLimits())), err_msg=name)

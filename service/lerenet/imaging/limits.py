"""How large an image may be, judged from its header alone."""

from __future__ import annotations

from dataclasses import dataclass

from lerenet.errors import ImageTooLarge


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest image that is decoded.

    Attributes:
        max_pixels: Height times width.
        max_side_px: The longer side.
    """

    max_pixels: int = 80_000_000
    max_side_px: int = 32_768

    def check(self, height: int, width: int, *, pointer: str | None = None) -> None:
        """Refuses a size over the limits.

        Args:
            height: In pixels.
            width: In pixels.
            pointer: Where in the request the image lies.

        Raises:
            ImageTooLarge: Too many pixels, or too long a side.
        """
        if max(height, width) > self.max_side_px:
            limit = f"{self.max_side_px} px a side"
        elif height * width > self.max_pixels:
            limit = f"{self.max_pixels} pixels, and this has {height * width}"
        else:
            return
        detail = f"{height} x {width} px (H x W) is over the limit of {limit}: cut it into parts, or scale it down"
        raise ImageTooLarge(detail, pointer=pointer)

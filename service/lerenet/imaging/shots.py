"""A shot: one image with its mask, the unit a support set is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask


@dataclass(frozen=True, eq=False)
class Shot:
    """One annotated image of a support set.

    Attributes:
        image: (H, W) grey or (H, W, 3) RGB uint8.
        mask: (H, W) uint8 in {0, 1}, 1 where the defect is; the same H and W as the image.
    """

    image: Image
    mask: Mask

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels, as displayed."""
        height, width = self.mask.shape
        return height, width

    @property
    def area_px(self) -> int:
        """Number of marked pixels."""
        return int(self.mask.sum(dtype="int64"))

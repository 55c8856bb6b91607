"""The rule that makes a label of a grey mask: published masks are often soft, so every number names its rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from lerenet.imaging.images import decode_image
from lerenet.imaging.masks import decode_mask

if TYPE_CHECKING:
    from lerenet.imaging.images import ImageLimits
    from lerenet.imaging.masks import Mask

LabelRule = Literal["gt127", "eq255", "gt0"]
LABEL_RULES: tuple[LabelRule, ...] = get_args(LabelRule)


def read_label(data: bytes, rule: LabelRule, limits: ImageLimits) -> Mask:
    """Decodes a mask file under a label rule.

    Args:
        data: Bytes of the mask image.
        rule: `gt127` is the rule of the service; `eq255` marks full white alone, as published few-shot protocols do;
            `gt0` marks everything that is not black.
        limits: Bounds on pixels and sides.

    Returns:
        (H, W) uint8 in {0, 1}; all 0 when nothing is marked.

    Raises:
        RequestError: The bytes are no readable mask, or pass the limits.
    """
    if rule == "gt127":
        return decode_mask(data, limits)
    pixels = decode_image(data, limits)
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    return np.asarray(grey == 255 if rule == "eq255" else grey > 0, dtype=np.uint8)

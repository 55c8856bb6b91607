"""The box around what a mask marks."""

from __future__ import annotations

import numpy as np

from lerenet.imaging import Mask

Box = tuple[int, int, int, int]


def mask_box(mask: Mask) -> Box | None:
    """(x, y, w, h) in pixels; None when nothing is marked.

    Args:
        mask: (H, W) uint8 in {0, 1}.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y

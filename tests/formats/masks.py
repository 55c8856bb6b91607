"""Random masks to try formats with."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lerenet.imaging import Mask

thousand = settings(max_examples=1_000, deadline=None, derandomize=True)
quickly = settings(thousand, max_examples=100)

_NOISE = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(
    lambda size: hnp.arrays(np.uint8, size, elements=st.integers(0, 1))
)


@st.composite
def _patches(draw: st.DrawFn) -> Mask:
    """Rectangles that mark and erase in turn: long runs, and holes in holes."""
    height, width = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    mask = np.zeros((height, width), np.uint8)
    for value in (1, 0) * draw(st.integers(0, 4)):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : draw(st.integers(top, height)), left : draw(st.integers(left, width))] = value
    return mask


MASKS = st.one_of(_NOISE, _patches())


def noisy_mask(height: int, width: int) -> Mask:
    """Round spots and a few thousand single pixels, 8 to 10 % of the image."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    mask = (rng.random((height, width)) < 0.003).astype(np.uint8)
    for centre_y, centre_x in rng.uniform(0, (height, width), (20, 2)):
        mask |= ((y - centre_y) ** 2 + (x - centre_x) ** 2 < (height / 30) ** 2).astype(np.uint8)
    return mask

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from lerenet.imaging import Shot

SHOT = Shot(np.zeros((3, 5, 3), np.uint8), np.full((3, 5), 1, np.uint8))


def test_shot_knows_its_size_as_height_by_width() -> None:
    assert SHOT.size == (3, 5)


def test_shot_area_counts_past_eight_bits() -> None:
    mask = np.ones((40, 50), np.uint8)
    assert Shot(mask, mask).area_px == 2000


def test_shot_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        SHOT.mask = np.zeros((3, 5), np.uint8)  # type: ignore[misc]

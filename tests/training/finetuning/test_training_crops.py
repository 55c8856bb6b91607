from __future__ import annotations

import numpy as np

from lerenet.imaging import Mask, Shot
from lerenet.training.finetuning.crops import random_crop, shrunken


def _shot(height: int, width: int) -> Shot:
    mask: Mask = np.zeros((height, width), np.uint8)
    mask[height // 2 : height // 2 + 12, 4:24] = 1
    return Shot(np.where(mask == 1, 240, 60).astype(np.uint8), mask)


def test_crop_is_a_square_of_colour_with_a_binary_mask() -> None:
    crop = random_crop(_shot(90, 70), 48, np.random.default_rng(0))
    assert (crop.image.shape, crop.mask.shape) == ((48, 48, 3), (48, 48))
    assert set(np.unique(crop.mask)) <= {0, 1}


def test_mask_stays_on_its_defect() -> None:
    for seed in range(10):
        crop = random_crop(_shot(90, 70), 48, np.random.default_rng(seed))
        assert ((crop.image[..., 0] > 140) == (crop.mask == 1)).mean() > 0.95


def test_most_crops_show_the_defect_of_a_large_frame() -> None:
    shot = _shot(900, 900)
    shown = [random_crop(shot, 48, np.random.default_rng(seed)).mask.any() for seed in range(40)]
    assert 0.6 < np.mean(shown) < 1


def test_small_image_goes_on_as_its_mirror_image() -> None:
    crop = random_crop(_shot(30, 30), 64, np.random.default_rng(1))
    assert ((crop.image[..., 0] > 140) == (crop.mask == 1)).mean() > 0.95


def test_crops_differ_in_light_and_place() -> None:
    one, other = (random_crop(_shot(90, 70), 48, np.random.default_rng(seed)) for seed in (1, 2))
    assert abs(float(one.image.mean()) - float(other.image.mean())) > 1


def test_shrunken_shot_keeps_its_sides_together() -> None:
    small = shrunken(_shot(90, 71), 4)
    assert small.image.shape == small.mask.shape
    assert small.mask.any()
    assert shrunken(small, 1) is small

from __future__ import annotations

import numpy as np

from lerenet.imaging import Mask, Shot
from lerenet.training.benchmark.augmentation import MEAN_RGB, augmented, fitted, square_target


def _shot(height: int = 60, width: int = 60) -> Shot:
    """A grey plate whose bright square is marked."""
    mask: Mask = np.zeros((height, width), np.uint8)
    mask[20:40, 10:30] = 1
    return Shot(np.where(mask == 1, 250, 50).astype(np.uint8), mask)


def test_augmented_image_is_a_square_of_colour() -> None:
    crop = augmented(_shot(), 48, np.random.default_rng(0))
    assert (crop.image.shape, crop.mask.shape) == ((48, 48, 3), (48, 48))
    assert set(np.unique(crop.mask)) <= {0, 1, 255}


def test_augmented_mask_stays_on_its_defect() -> None:
    for seed in range(8):
        crop = augmented(_shot(), 48, np.random.default_rng(seed))
        bright = crop.image[..., 0] > 150
        assert (bright == (crop.mask == 1)).mean() > 0.93


def test_augmentation_is_decided_by_its_random_numbers() -> None:
    one, same, other = (augmented(_shot(), 48, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)


def test_crop_keeps_most_of_the_defect() -> None:
    for seed in range(8):
        crop = augmented(_shot(), 48, np.random.default_rng(seed))
        assert np.count_nonzero(crop.mask == 1) > 0.8 * 0.81 * 400


def test_small_image_is_filled_with_the_mean() -> None:
    crop = augmented(_shot(), 100, np.random.default_rng(3))
    assert tuple(crop.image[0, 0]) == MEAN_RGB
    assert crop.mask[0, 0] == 255


def test_fitted_image_fills_bottom_with_black_that_is_ignored() -> None:
    small = fitted(_shot(60, 120), 48)
    assert small.image.shape == (48, 48, 3)
    assert (small.mask[24:] == 255).all()
    assert (small.image[24:] == 0).all()
    assert small.mask[:24].max() == 1


def test_fitted_sides_are_multiples_of_eight() -> None:
    small = fitted(_shot(60, 75), 50)
    height, width = (int(np.count_nonzero((small.mask != 255).any(axis=axis))) for axis in (1, 0))
    assert (height, width) == (40, 48)


def test_image_of_the_right_size_is_fitted_unchanged() -> None:
    shot = _shot(48, 48)
    small = fitted(shot, 48)
    assert np.array_equal(small.image[..., 1], shot.image)
    assert np.array_equal(small.mask, shot.mask)


def test_target_is_squared_with_ignored_pixels() -> None:
    target = square_target(_shot(60, 90).mask)
    assert target.shape == (90, 90)
    assert (target[60:] == 255).all()

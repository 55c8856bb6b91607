from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lerenet.inference.scale import choose_scale, thickness_px

if TYPE_CHECKING:
    from lerenet.imaging import Mask


def stroke(width_px: float, angle_deg: float, size_px: int = 400) -> Mask:
    """A straight stroke through the whole image."""
    y, x = np.mgrid[:size_px, :size_px] - size_px / 2
    angle = np.deg2rad(angle_deg)
    distance = np.abs(x * np.sin(angle) - y * np.cos(angle))
    return np.asarray(distance < width_px / 2, np.uint8)


def square(side_px: int, size: tuple[int, int]) -> Mask:
    mask = np.zeros(size, np.uint8)
    mask[20 : 20 + side_px, 30 : 30 + side_px] = 1
    return mask


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 70, 90, 135])
@pytest.mark.parametrize("width_px", [9, 40])
def test_thickness_of_a_stroke_is_its_width_at_any_angle(width_px: int, angle_deg: int) -> None:
    assert thickness_px(stroke(width_px, angle_deg)) == pytest.approx(width_px, rel=0.12)


def test_thickness_of_a_disc_is_its_radius() -> None:
    y, x = np.mgrid[:200, :200] - 100
    assert thickness_px((x * x + y * y < 60 * 60).astype(np.uint8)) == pytest.approx(60, rel=0.06)


def test_thickness_of_a_hair_is_at_most_its_box() -> None:
    mask = np.zeros((50, 50), np.uint8)
    mask[25] = 1
    assert thickness_px(mask) == pytest.approx(1.0, rel=0.12)


def test_thickness_of_a_full_mask_is_its_shorter_side() -> None:
    assert thickness_px(np.ones((60, 90), np.uint8)) == 60


def test_thickness_sees_no_perimeter_at_the_image_border() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:, :40] = 1
    assert thickness_px(mask) == pytest.approx(40)


@pytest.mark.parametrize(
    ("side_px", "size", "scale"),
    [
        (20, (200, 200), 1.0),  # small frame
        (90, (200, 200), 1.0),  # the frame would become smaller than 192 px
        (40, (2000, 2000), 1.0),  # 20 px thick
        (110, (2000, 2000), 1 / 2),
        (210, (2000, 2000), 1 / 4),
        (800, (2000, 2000), 1 / 8),
        (800, (1500, 1000), 1 / 4),  # 1500 / 8 < 192
    ],
)
def test_scale_is_the_smallest_that_keeps_defect_with_image_visible(
    side_px: int, size: tuple[int, int], scale: float
) -> None:
    assert choose_scale([square(side_px, size)]) == scale


def test_scale_follows_the_median_of_the_shots() -> None:
    small, large = square(20, (2000, 2000)), square(800, (2000, 2000))
    assert choose_scale([small, large, large]) == 1 / 8
    assert choose_scale([small, small, large]) == 1.0


def test_scale_does_not_depend_on_the_order_of_shots() -> None:
    masks = [square(side, (1600, 1600)) for side in (60, 110, 400, 800)]
    assert choose_scale(masks) == choose_scale(masks[::-1])


def test_scale_keeps_every_image_large_enough() -> None:
    assert choose_scale([square(800, (2000, 2000)), square(120, (200, 200))]) == 1.0


def test_scale_comes_from_the_given_ladder() -> None:
    assert choose_scale([square(800, (2000, 2000))], ladder=(1.0,)) == 1.0


def test_scale_of_unmarked_masks_is_full_size() -> None:
    assert choose_scale([np.zeros((3000, 3000), np.uint8)]) == 1.0

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from lerenet.formats.polygons import fill_polygons
from lerenet.imaging import overlap


def test_a_rectangle_has_its_area() -> None:
    mask = fill_polygons([[2, 3, 7, 3, 7, 5, 2, 5]], 10, 12)

    expected = np.zeros((10, 12), np.uint8)
    expected[3:5, 2:7] = 1
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(("left", "column"), [(2.0, 2), (2.4, 2), (2.5, 2), (2.6, 3)])
def test_a_pixel_is_marked_when_its_centre_is_inside(left: float, column: int) -> None:
    mask = fill_polygons([[left, 0, 9, 0, 9, 1, left, 1]], 1, 12)

    assert np.flatnonzero(mask[0]).tolist() == list(range(column, 9))


def test_what_lies_outside_is_cut_off() -> None:
    mask = fill_polygons([[-5, -5, 30, -5, 30, 30, -5, 30]], 8, 9)

    assert mask.all()


def test_a_polygon_beside_the_image_marks_nothing() -> None:
    assert not fill_polygons([[20, 20, 30, 20, 30, 30]], 8, 9).any()


def test_a_hole_by_the_even_odd_rule_stays_open() -> None:
    mask = fill_polygons([[0, 0, 9, 0, 9, 9, 0, 9, 0, 0, 3, 3, 6, 3, 6, 6, 3, 6, 3, 3]], 9, 9)

    assert mask.sum() == 81 - 9


def test_a_random_polygon_is_close_to_a_fine_drawing() -> None:
    """Against Pillow at sixteen times the size, where its rounding no longer matters."""
    rng, scale = np.random.default_rng(0), 16
    angles = np.sort(rng.uniform(0, 2 * np.pi, 11))
    radii = rng.uniform(8, 30, 11)
    corners = np.stack([32 + radii * np.cos(angles), 32 + radii * np.sin(angles)], axis=1).ravel()
    canvas = PIL.Image.new("L", (64 * scale, 64 * scale))
    PIL.ImageDraw.Draw(canvas).polygon((corners * scale).tolist(), fill=1)
    fine = np.asarray(canvas).reshape(64, scale, 64, scale).mean(axis=(1, 3))

    mask = fill_polygons([corners.tolist()], 64, 64)

    assert overlap(mask, (fine > 0.5).astype(np.uint8)).iou > 0.97
    assert mask.sum() == pytest.approx(fine.sum(), rel=0.02)


def test_polygons_that_would_take_very_long_are_refused() -> None:
    with pytest.raises(ValueError, match="simplify"):
        fill_polygons([[0, 0, 300, 0, 300, 300, 0, 300]] * 50, 300, 300)

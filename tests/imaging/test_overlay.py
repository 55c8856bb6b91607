"""Overlays: what is marked is tinted, what is not stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from lerenet.imaging.overlay import overlay, tiled
from lerenet.imaging.png import class_colour


def _square() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    return mask


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 3)])
def test_an_overlay_is_rgb_and_leaves_sound_pixels_alone(shape: tuple[int, ...]) -> None:
    painted = overlay(np.full(shape, 100, np.uint8), _square())
    assert painted.shape == (9, 9, 3)
    assert (painted[_square() == 0] == 100).all()


def test_an_overlay_draws_the_outline_in_the_colour_of_the_class() -> None:
    painted = overlay(np.zeros((9, 9), np.uint8), _square(), class_colour(2))
    assert bytes(painted[2, 4]) == class_colour(2)


def test_an_overlay_blends_the_inside_by_its_opacity() -> None:
    painted = overlay(np.full((9, 9), 100, np.uint8), _square(), class_colour(1), opacity=0.5)
    colour = np.frombuffer(class_colour(1), np.uint8).astype(float)
    assert np.abs(painted[4, 4] - (50 + colour / 2)).max() <= 1


def test_tiles_keep_their_pixels_and_their_order() -> None:
    cells = [np.full((4, 4), value, np.uint8) for value in (10, 20, 30)]
    sheet = tiled([cells[:2], cells[2:]], gap_px=1)
    assert sheet.shape == (11, 11, 3)
    assert [int(sheet[y, x, 0]) for y, x in ((1, 1), (1, 6), (6, 1), (6, 6))] == [10, 20, 30, 255]

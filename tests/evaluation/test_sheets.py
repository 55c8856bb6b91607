from __future__ import annotations

import numpy as np
import pytest

from lerenet.evaluation.sheets import (
    CELL_PX,
    FALSE_ALARM,
    GAP_PX,
    HIT,
    LINE_PX,
    MARKED,
    MISS,
    ClassSheet,
    SheetRow,
    render_sheet,
    shrink_mask,
    shrink_shot,
)
from lerenet.imaging import Image, Mask, Shot

TOP = 2 * LINE_PX + GAP_PX


def block(top: int, bottom: int) -> Mask:
    """A 40 x 40 mask, marked from row `top` to `bottom`."""
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[top:bottom] = 1
    return mask


def sheet(n_rows: int = 1) -> Image:
    grey = np.full((40, 40), 128, dtype=np.uint8)
    row = SheetRow(Shot(grey, block(10, 30)), {"ours 1-shot": block(20, 35), "other 1-shot": block(0, 0)})
    return render_sheet(ClassSheet("steel/bars", (Shot(grey, block(0, 5)), Shot(grey, block(35, 40))), (row,) * n_rows))


def pixel(page: Image, column: int, y: int, row: int = 0) -> tuple[int, ...]:
    """Colour at height `y`, left edge, of a 40 px cell: edges are outlined in full colour."""
    return tuple(page[TOP + row * (40 + GAP_PX) + y, GAP_PX + column * (40 + GAP_PX)].tolist())


def test_sheet_has_columns_for_support_query_truth_with_every_prediction() -> None:
    assert sheet().shape == (2 * LINE_PX + 40 + 2 * GAP_PX, 5 * (40 + GAP_PX) + GAP_PX, 3)


@pytest.mark.parametrize(
    ("column", "y", "colour"),
    [
        (0, 2, MARKED),
        (1, 15, (128, 128, 128)),
        (2, 15, MARKED),
        (3, 15, MISS),
        (3, 25, HIT),
        (3, 32, FALSE_ALARM),
        (3, 38, (128, 128, 128)),
        (4, 15, MISS),
    ],
)
def test_cell_is_coloured_by_what_it_shows(column: int, y: int, colour: tuple[int, int, int]) -> None:
    assert pixel(sheet(), column, y) == colour


def test_support_images_repeat_down_the_page() -> None:
    page = sheet(n_rows=3)
    marked = [[pixel(page, 0, y, row) == MARKED for y in (2, 37)] for row in range(3)]
    assert marked == [[True, False], [False, True], [True, False]]


def test_large_frame_shrinks_to_a_cell() -> None:
    shrunk = shrink_shot(Shot(np.zeros((800, 400, 3), dtype=np.uint8), np.zeros((800, 400), dtype=np.uint8)))
    assert shrunk.image.shape == (CELL_PX, CELL_PX // 2, 3)
    assert shrunk.size == (CELL_PX, CELL_PX // 2)


def test_small_image_keeps_its_pixels() -> None:
    shot = Shot(np.full((40, 40), 7, dtype=np.uint8), block(3, 4))
    assert np.array_equal(shrink_shot(shot).image, shot.image)
    assert np.array_equal(shrink_shot(shot).mask, shot.mask)


def test_thin_defect_survives_shrinking() -> None:
    mask = np.zeros((3 * CELL_PX, 3 * CELL_PX), dtype=np.uint8)
    mask[100] = 1
    assert shrink_mask(mask).any(axis=0).all()

"""Overlay sheets: support | query | truth | predictions, a page a class, so that a number can be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from lerenet.imaging.overlay import overlay, tiled
from lerenet.imaging.shots import Shot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask

CELL_PX = 192
GAP_PX = 6
LINE_PX = 18
FONT_PX = 13
INK = (40, 40, 44)
MARKED, HIT, FALSE_ALARM, MISS = (255, 176, 0), (60, 190, 90), (235, 60, 60), (60, 120, 255)


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One query of a sheet, shrunk to a cell so that a report on large frames stays small.

    Attributes:
        query: The query image with its true mask, which is empty for a defect-free image.
        predictions: Mask by column title, of the query's shape.
    """

    query: Shot
    predictions: Mapping[str, Mask]


@dataclass(frozen=True, eq=False)
class ClassSheet:
    """What a page shows.

    Attributes:
        class_name: The class.
        support: The support set, shrunk.
        rows: At least one query; defect-free images come last.
    """

    class_name: str
    support: tuple[Shot, ...]
    rows: tuple[SheetRow, ...]


def shrink_shot(shot: Shot) -> Shot:
    """A shot that fits a cell: longest side at most `CELL_PX`; smaller images stay as they are."""
    return Shot(_shrink(shot.image), shrink_mask(shot.mask))


def shrink_mask(mask: Mask) -> Mask:
    """A mask that fits a cell; a thin defect stays visible, for a quarter of a cell's pixel marks it."""
    return (_shrink(mask * np.uint8(255)) >= 64).astype(np.uint8)


def render_sheet(sheet: ClassSheet) -> Image:
    """Draws a page, one row a query; the support images repeat down the first column.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    titles = ["support", "query", "truth", *sheet.rows[0].predictions]
    grid = tiled([_cells(row, sheet.support[i % len(sheet.support)]) for i, row in enumerate(sheet.rows)], GAP_PX)
    page = Pillow.new("RGB", (grid.shape[1], grid.shape[0] + 2 * LINE_PX), (255, 255, 255))
    page.paste(Pillow.fromarray(grid), (0, 2 * LINE_PX))
    _write_header(ImageDraw.Draw(page), sheet.class_name, titles, grid.shape[1])
    return np.asarray(page)


def _write_header(pen: ImageDraw.ImageDraw, class_name: str, titles: Sequence[str], width_px: int) -> None:
    font = ImageFont.load_default(FONT_PX)
    x = GAP_PX
    for text, colour in ((class_name, INK), ("hit", HIT), ("false alarm", FALSE_ALARM), ("miss", MISS)):
        pen.text((x, 2), text, fill=colour, font=font)
        x += round(pen.textlength(text, font=font)) + FONT_PX
    for column, title in enumerate(titles):
        pen.text((GAP_PX + column * (width_px - GAP_PX) // len(titles), LINE_PX + 2), title, fill=INK, font=font)


def _cells(row: SheetRow, support: Shot) -> list[Image]:
    query, truth = row.query.image, row.query.mask
    compared = [compare_masks(query, mask, truth) for mask in row.predictions.values()]
    return [overlay(support.image, support.mask, MARKED), query, overlay(query, truth, MARKED), *compared]


def compare_masks(image: Image, predicted: Mask, truth: Mask) -> Image:
    """The image with hits, false alarms and misses each in its colour."""
    for part, colour in (
        (predicted & truth, HIT),
        (predicted & (1 - truth), FALSE_ALARM),
        (truth & (1 - predicted), MISS),
    ):
        image = overlay(image, part, colour)
    return image


def _shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Pillow.fromarray(pixels)
    # Box filtering keeps the share of a shrunken pixel that a mask covers; `thumbnail` never enlarges.
    picture.thumbnail((CELL_PX, CELL_PX), Pillow.Resampling.BOX)
    return np.asarray(picture)

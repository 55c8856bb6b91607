"""Support classes as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lerenet.cli.display import print_table

if TYPE_CHECKING:
    from lerenet.client import SupportClass

COLUMNS = ("name", "revision", "shots", "normals", "threshold", "min px", "scale", "LOO IoU")


def print_classes(classes: Sequence[SupportClass]) -> None:
    """Prints a row for each class."""
    rows = (
        (
            each.name,
            each.revision,
            len(each.shots),
            each.normals,
            each.threshold,
            each.min_area_px,
            each.scale,
            None if each.quality is None else each.quality.loo_iou,
        )
        for each in classes
    )
    print_table(COLUMNS, rows)

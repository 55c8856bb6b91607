"""A miniature data set on disk: grey plates with one bright bar each, drawn with numpy."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lerenet.imaging import Image, Mask, Shot, encode_bilevel_png, encode_image_png

PLATE_PX = 64
MT_GROUPS = ("v0", "v0", "v1", "v2", "v2", "v2", "v3", "v4")


def draw_plate(seed: int, *, is_marked: bool = True) -> Shot:
    """A plate of grey noise; a marked one has a bright bar, and its mask marks exactly that."""
    rng = np.random.default_rng(seed)
    image: Image = rng.integers(90, 110, (PLATE_PX, PLATE_PX), dtype=np.uint8)
    mask: Mask = np.zeros((PLATE_PX, PLATE_PX), dtype=np.uint8)
    if is_marked:
        top, left = rng.integers(4, 40, 2)
        mask[top : top + 6, left : left + 20] = 1
        image[mask == 1] = 220
    return Shot(image, mask)


def write_class(folder: Path, n_pairs: int, n_normals: int = 0) -> None:
    """Plates p00, p01, ... with masks, and defect-free plates n00, n01, ..."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(n_pairs):
        shot = draw_plate(i)
        (folder / "images" / f"p{i:02}.png").write_bytes(encode_image_png(shot.image))
        (folder / "masks" / f"p{i:02}.png").write_bytes(encode_bilevel_png(shot.mask))
    if n_normals:
        write_normals(folder / "normal", n_normals)


def write_normals(folder: Path, n_normals: int) -> None:
    folder.mkdir(parents=True)
    for i in range(n_normals):
        plate = draw_plate(1000 + i, is_marked=False)
        (folder / f"n{i:02}.png").write_bytes(encode_image_png(plate.image))


def write_index(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Packs `steel` (bars: 7 pairs, 2 normals, no index) and `mt` (cracks: 8 pairs of 5 groups; free: 3 normals)."""
    root = tmp_path / "plates"
    write_class(root / "steel" / "bars", 7, 2)
    write_class(root / "mt" / "cracks", 8)
    write_normals(root / "mt" / "free" / "normal", 3)
    rows = [{"id": f"p{i:02}", "cls": "cracks", "group": group} for i, group in enumerate(MT_GROUPS)]
    write_index(root / "mt" / "index.csv", rows)
    return root

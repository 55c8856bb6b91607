"""Miniature data sets on disk: folders of grey plates with one bright bar each, and benchmarks of synthetic plates."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from builders import plate_pairs
from lerenet.datasets.benchmarks import Benchmark
from lerenet.imaging import Image, Mask, Shot, encode_bilevel_png, encode_grey_png, encode_image_png
from lerenet.support import Limits, NormalUpload, Parameters, ShotUpload, SqliteStore
from lerenet.support.records import new_class
from lerenet.support.uploads import hash_uploads

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


def write_packs(root: Path) -> None:
    """Packs `steel` (bars: 7 pairs, 2 normals, no index) and `mt` (cracks: 8 pairs of 5 groups; free: 3 normals)."""
    write_class(root / "steel" / "bars", 7, 2)
    write_class(root / "mt" / "cracks", 8)
    write_normals(root / "mt" / "free" / "normal", 3)
    rows = [{"id": f"p{i:02}", "cls": "cracks", "group": group} for i, group in enumerate(MT_GROUPS)]
    write_index(root / "mt" / "index.csv", rows)


def write_registry(root: Path, n_shots: dict[str, int], n_normals: int = 0) -> None:
    """A service's data folder with classes of so many shots, and as many defect-free images each."""
    store = SqliteStore(root)
    for place, (name, n) in enumerate(n_shots.items()):
        shots = [draw_plate(100 * place + i) for i in range(n)]
        normals = [draw_plate(1000 + i, is_marked=False).image for i in range(n_normals)]
        added = hash_uploads(
            [ShotUpload(encode_image_png(shot.image), shot.image, shot.mask) for shot in shots],
            [NormalUpload(encode_image_png(normal), normal) for normal in normals],
        )
        record = new_class(name, added.shots, added.normals, Parameters())
        store.commit(record, added.blobs, expected=None, limits=Limits())
    store.close()


def write_benchmark(root: Path, benchmark: Benchmark, n_pairs: int, n_normals: int = 1, size_px: int = 48) -> None:
    """Every class of a benchmark in the layout of its archive, from synthetic plates; masks are 0 and 255, grey."""
    for each in benchmark.classes:
        folder = root / each.folder
        for name in ("Images", "GT", "Nd"):
            (folder / name).mkdir(parents=True)
        for i, shot in enumerate(plate_pairs(n_pairs, seed=each.id, size_px=size_px), start=1):
            stem = f"{each.folder}_{i}"
            (folder / "Images" / f"{stem}.png").write_bytes(encode_image_png(shot.image))
            (folder / "GT" / f"{stem}.png").write_bytes(encode_grey_png(shot.mask * np.uint8(255)))
        for i in range(1, n_normals + 1):
            plate = np.full((size_px, size_px), 90 + each.id, np.uint8)
            (folder / "Nd" / f"Nd_{i}.png").write_bytes(encode_image_png(plate))


def write_lists(root: Path, benchmark: Benchmark, n_listed: int) -> None:
    """Lists of every fold as TGRNet names them, with the first images of each class in falling order."""
    for fold in range(3):
        sides = {"train": benchmark.base_classes(fold), "test": benchmark.novel_classes(fold)}
        for side, classes in sides.items():
            path = root / "data_list" / side / f"fold_{fold}_defective.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [
                f"{each.folder}/Images/{each.folder}_{i}.jpg  {each.id}\n"
                for each in classes
                for i in range(n_listed, 0, -1)
            ]
            path.write_text("".join(lines), encoding="utf-8")

"""A benchmark on disk: a folder for each class, with its images, masks and defect-free images.

    root/<class>/Images/<id>.jpg   one image
    root/<class>/GT/<id>.png       its mask, of the same size
    root/<class>/Nd/*.jpg          defect-free images
    root/data_list/                the lists, see `lists`; without them a class has every image of its folder

An `index.csv` in the root or in a class (id, group[, cls]) gives groups; the archives have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lerenet.datasets.benchmarks.folds import N_FOLDS
from lerenet.datasets.benchmarks.lists import find_list, read_list
from lerenet.datasets.faults import find_pixel_faults, refuse
from lerenet.datasets.folder import DefectClass, LabelledImage, image_files
from lerenet.datasets.groups import read_groups
from lerenet.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lerenet.datasets.benchmarks.folds import Benchmark, BenchmarkClass
    from lerenet.datasets.groups import Groups
    from lerenet.datasets.labels import LabelRule
    from lerenet.imaging.images import ImageLimits

IMAGES, MASKS, NORMALS = "Images", "GT", "Nd"
FROM_FOLDERS = "class folders (the data set has no lists)"


@dataclass(frozen=True, slots=True)
class BenchmarkFold:
    """A fold of a benchmark, read through.

    Attributes:
        benchmark: Which one.
        fold: Which of its folds.
        base: The classes to train on, with the images of the training list in its order.
        novel: The classes to test, with those of the test list.
        source: Where class membership comes from, in words for the report.
    """

    benchmark: Benchmark
    fold: int
    base: tuple[DefectClass, ...]
    novel: tuple[DefectClass, ...]
    source: str


def open_fold(
    benchmark: Benchmark, root: Path, fold: int, n_shots: int, rule: LabelRule, limits: ImageLimits
) -> BenchmarkFold:
    """Indexes a fold, and decodes every image and mask of it.

    Args:
        benchmark: Which one.
        root: Folder of the class folders.
        fold: 0 to 2.
        n_shots: An episode needs so many images of a class beside its query.
        rule: What makes a label of a grey mask.
        limits: Bounds on the images that are read.

    Raises:
        ConfigurationError: There is no such fold.
        DatasetError: Classes, images or masks are missing, unreadable or of different sizes; `faults` name them all.
    """
    if not 0 <= fold < N_FOLDS:
        raise ConfigurationError(f"fold is {fold}; {benchmark.title} has folds 0 to {N_FOLDS - 1}")
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; give the one that holds {benchmark.classes[0].folder}/{IMAGES}")
    reader = _Reader(root)
    lists = [find_list(root, side, fold) for side in ("train", "test")]
    base = reader.open(benchmark.base_classes(fold), lists[0])
    novel = reader.open(benchmark.novel_classes(fold), lists[1])
    for found in (*base, *novel):
        reader.faults += find_pixel_faults(found, rule, limits)
        if found.pairs and len(found.pairs) <= n_shots:
            reader.faults.append(
                f"class {found.name}: {len(found.pairs)} pairs, and {n_shots}-shot needs {n_shots + 1}; add images"
            )
    refuse(reader.faults, root)
    return BenchmarkFold(benchmark, fold, base, novel, _source(lists, root))


class _Reader:
    """Reads classes and gathers what is wrong."""

    def __init__(self, root: Path) -> None:
        self.faults: list[str] = []
        self._root = root
        self._folders = {_plain(path.name): path for path in sorted(root.iterdir()) if path.is_dir()}

    def open(self, classes: Sequence[BenchmarkClass], list_path: Path | None) -> tuple[DefectClass, ...]:
        listed = None if list_path is None else read_list(list_path, self.faults.append)
        if listed is not None:
            known = {each.id for each in classes}
            self.faults += [
                f"{list_path}: {line.path} has class id {line.class_id}, which is none of this fold's side"
                for line in listed
                if line.class_id not in known
            ]
        opened = []
        for each in classes:
            paths = None if listed is None else [line.path for line in listed if line.class_id == each.id]
            opened.append(self._open_class(each, paths, list_path))
        return tuple(opened)

    def _open_class(self, each: BenchmarkClass, listed: list[str] | None, list_path: Path | None) -> DefectClass:
        folder = self._folders.get(_plain(each.folder))
        if folder is None or not (folder / IMAGES).is_dir() or not (folder / MASKS).is_dir():
            self.faults.append(f"{self._root / each.folder} lacks {IMAGES}/ and {MASKS}/ ({each.meaning})")
            return DefectClass(each.folder, (), (), is_grouped=False)
        found = image_files(folder / IMAGES, self.faults.append)
        images = self._listed(found, listed, list_path) if listed is not None else _sorted(found)
        groups = read_groups(folder)
        pairs = tuple(self._pairs(folder, images, groups))
        if not pairs:
            self.faults.append(f"class {each.folder}: no image with a mask; look at {folder / IMAGES} and the lists")
        normals = image_files(folder / NORMALS, self.faults.append) if (folder / NORMALS).is_dir() else {}
        plain = (_labelled(folder.name, stem, path, None, groups) for stem, path in _sorted(normals).items())
        return DefectClass(each.folder, pairs, tuple(plain), groups is not None)

    def _listed(self, images: dict[str, Path], listed: list[str], list_path: Path | None) -> dict[str, Path]:
        missing = [path for path in listed if Path(path).stem not in images]
        self.faults += [f"{self._root / path} is missing, and {list_path} names it" for path in missing]
        return {Path(path).stem: images[Path(path).stem] for path in listed if path not in missing}

    def _pairs(self, folder: Path, images: dict[str, Path], groups: Groups | None) -> Iterable[LabelledImage]:
        masks = image_files(folder / MASKS, self.faults.append)
        for stem, path in images.items():
            if stem in masks:
                yield _labelled(folder.name, stem, path, masks[stem], groups)
            else:
                self.faults.append(f"{path} has no mask; add {folder / MASKS / stem}.png")


def _labelled(cls: str, stem: str, image: Path, mask: Path | None, groups: Groups | None) -> LabelledImage:
    group = groups.find(cls, stem) if groups else None
    return LabelledImage(stem, group or image.as_posix(), image, mask)


def _source(lists: Sequence[Path | None], root: Path) -> str:
    found = [path.relative_to(root).as_posix() for path in lists if path is not None]
    if not found:
        return FROM_FOLDERS
    return ", ".join(found) + ("" if len(found) == len(lists) else f", else {FROM_FOLDERS}")


def _plain(name: str) -> str:
    """Archives and their readers spell capital i and small l alike: AI_Rm, Steel_la."""
    return name.lower().replace("l", "i")


def _sorted(images: dict[str, Path]) -> dict[str, Path]:
    return {stem: images[stem] for stem in sorted(images, key=_natural)}


def _natural(stem: str) -> tuple[list[str | int], str]:
    # Digits stand at odd places of the split, so that numbers are compared with numbers.
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", stem))], stem

"""Which images of a folder are learnt from and which judge: whole groups on one side, a tenth of them held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lerenet.datasets.folder import DefectClass, LabelledImage

HELD_OUT_SHARE = 0.1
MIN_GROUPS = 3
"""Of marked images in a class: one is held out, and an episode needs a query and a shot of two others."""


@dataclass(frozen=True, slots=True)
class FolderSplit:
    """Classes, each in two parts of the same name.

    Attributes:
        learnt: What is trained on, and what supports the held-out queries.
        held_out: What judges; nothing is learnt from it.
    """

    learnt: tuple[DefectClass, ...]
    held_out: tuple[DefectClass, ...]

    @property
    def faults(self) -> list[str]:
        """Classes that are left too small, as groups that they share with others are held out."""
        return [
            f"class {found.name}: {found.n_groups} groups are left to learn from, and 2 are needed; add images of "
            f"other views"
            for found in self.learnt
            if found.n_groups < MIN_GROUPS - 1
        ]


def split_folder(classes: Sequence[DefectClass], seed: int) -> FolderSplit:
    """Holds out a tenth of the groups of each class, at least one; of its defect-free images a tenth, if that is one.

    A group that is held out of one class is held out of all: it shows the same view there.

    Args:
        classes: Of a folder.
        seed: Decides which.
    """
    held: set[str] = set()
    for found in classes:
        held |= _tenth((pair.group for pair in found.pairs), seed, at_least=1)
        held |= _tenth((normal.group for normal in found.normals), seed, at_least=0)
    return FolderSplit(
        tuple(_part(found, held, is_held=False) for found in classes),
        tuple(_part(found, held, is_held=True) for found in classes),
    )


def _tenth(groups: Iterable[str], seed: int, at_least: int) -> set[str]:
    """The groups with the lowest hashes, so that a new image changes the side of few others."""
    distinct = sorted(set(groups), key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest())
    return set(distinct[: max(at_least, round(HELD_OUT_SHARE * len(distinct)))])


def _part(found: DefectClass, held: set[str], *, is_held: bool) -> DefectClass:
    def kept(images: Iterable[LabelledImage]) -> tuple[LabelledImage, ...]:
        return tuple(image for image in images if (image.group in held) == is_held)

    return replace(found, pairs=kept(found.pairs), normals=kept(found.normals))

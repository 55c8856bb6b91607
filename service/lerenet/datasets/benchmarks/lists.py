"""The lists that say which images a fold trains on and tests: one line an image, its path, two spaces, its class id.

    root/data_list/train/fold_0_defective.txt     Steel_Ld/Images/Steel_Ld_14.jpg  3
    root/data_list/test/fold_0_defective.txt      and fold_0_clean.txt for Nd/

Source: TGRNet's file names; those of CPANet (`val/fold0_defect.txt`) are read as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LISTS_FOLDER = "data_list"
_FOLDERS = {"train": ("train",), "test": ("test", "val")}
_NAMES = ("fold_{fold}_defective.txt", "fold{fold}_defect.txt")


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A line of a list.

    Attributes:
        path: Relative to the root, as it is written.
        class_id: Of the benchmark.
    """

    path: str
    class_id: int


def find_list(root: Path, side: Literal["train", "test"], fold: int) -> Path | None:
    """The list of defect images of one side of a fold; None when the data set has none."""
    for folder in _FOLDERS[side]:
        for name in _NAMES:
            path = root / LISTS_FOLDER / folder / name.format(fold=fold)
            if path.is_file():
                return path
    return None


def read_list(path: Path, on_fault: Callable[[str], None]) -> list[ListedImage]:
    """The lines of a list, in order; empty ones are passed over.

    Args:
        path: Of the list.
        on_fault: Told of each line that is no path and id.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        words = line.rsplit(maxsplit=1)
        if len(words) == 2 and words[1].isdigit():
            found.append(ListedImage(words[0].replace("\\", "/"), int(words[1])))
        elif words:
            on_fault(f"{path}:{number}: {line!r} is no path and class id such as 'Steel_Ld/Images/Steel_Ld_14.jpg  3'")
    return found

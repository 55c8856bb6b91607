"""Looking through a whole data set before hours are spent on it: every fault is found and named, not only the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.datasets.folder import open_folder
from lerenet.datasets.reading import read_shot
from lerenet.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lerenet.datasets.folder import DefectClass, LabelledImage
    from lerenet.datasets.labels import LabelRule
    from lerenet.imaging.images import ImageLimits

N_FAULTS_NAMED = 3


def open_whole_folder(
    root: Path, rule: LabelRule, limits: ImageLimits, *, min_groups: int = 1
) -> tuple[DefectClass, ...]:
    """The classes of a folder in which every image can be read and every mask fits and marks something.

    Args:
        root: As `open_folder` takes it.
        rule: What makes a label of a grey mask.
        limits: Bounds on the images that are read.
        min_groups: Least number of groups of marked images in a class.

    Raises:
        DatasetError: Something is wrong; its `faults` name all of it.
    """
    faults: list[str] = []
    classes = open_folder(root, on_fault=faults.append)
    faults += _folders_without_masks(root, classes)
    for defect_class in classes:
        faults += _pixel_faults(defect_class, rule, limits, unmarked="nothing is marked under the label rule")
        if defect_class.pairs and defect_class.n_groups < min_groups:
            faults.append(
                f"class {defect_class.name}: {defect_class.n_groups} groups of marked images, and {min_groups} are "
                f"needed; add images of other views, or move the class out of the folder"
            )
    refuse(list(dict.fromkeys(faults)), root)  # classes of a pack share its normals
    return classes


def find_pixel_faults(defect_class: DefectClass, rule: LabelRule, limits: ImageLimits) -> list[str]:
    """Images and masks of a class that cannot be read or differ in size; a mask that marks nothing is none."""
    return list(_pixel_faults(defect_class, rule, limits))


def refuse(faults: Sequence[str], root: Path) -> None:
    """Ends where there are faults.

    Raises:
        DatasetError: There are; the detail names the first few, its `faults` all of them.
    """
    if faults:
        more = f"; and {len(faults) - N_FAULTS_NAMED} more" if len(faults) > N_FAULTS_NAMED else ""
        named = "; ".join(faults[:N_FAULTS_NAMED])
        raise DatasetError(f"{root}: {len(faults)} faults to mend first: {named}{more}", faults=faults)


def _folders_without_masks(root: Path, classes: Sequence[DefectClass]) -> Iterator[str]:
    known = {pair.image_path.parent.resolve() for found in classes for pair in found.pairs}
    for folder in sorted({*root.glob("images"), *root.glob("*/images"), *root.glob("*/*/images")}):
        if folder.is_dir() and folder.resolve() not in known and not (folder.parent / "masks").is_dir():
            yield f"{folder.parent} has images/ but no masks/; add the masks, or call the folder normal/"


def _pixel_faults(
    defect_class: DefectClass, rule: LabelRule, limits: ImageLimits, unmarked: str | None = None
) -> Iterator[str]:
    for image in (*defect_class.pairs, *defect_class.normals):
        fault = _fault(image, rule, limits, unmarked)
        if fault:
            yield fault


def _fault(image: LabelledImage, rule: LabelRule, limits: ImageLimits, unmarked: str | None) -> str | None:
    try:
        shot = read_shot(image, rule, limits)
    except DatasetError as error:
        return error.detail
    if unmarked and image.mask_path is not None and not shot.mask.any():
        return f"{image.mask_path}: {unmarked} {rule}; mark the defect, or move the image to normal/"
    return None

"""Pixels of a data set, with faults told by the path of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lerenet.datasets.labels import read_label
from lerenet.errors import DatasetError, RequestError
from lerenet.imaging.images import decode_image
from lerenet.imaging.shots import Shot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from lerenet.datasets.folder import DefectClass, LabelledImage
    from lerenet.datasets.labels import LabelRule
    from lerenet.imaging.images import ImageLimits
    from lerenet.imaging.masks import Mask


def read_shot(image: LabelledImage, rule: LabelRule, limits: ImageLimits) -> Shot:
    """Decodes an image with its mask; that of a defect-free image is empty.

    Raises:
        DatasetError: A file cannot be read, or the two differ in size.
    """
    pixels = _decode(image.image_path, lambda data: decode_image(data, limits))
    height, width = pixels.shape[:2]
    if image.mask_path is None:
        return Shot(pixels, np.zeros((height, width), dtype=np.uint8))
    mask = _read_mask(image.mask_path, rule, limits)
    if mask.shape != (height, width):
        raise DatasetError(
            f"{image.mask_path} is {mask.shape[0]} x {mask.shape[1]} px (H x W), "
            f"its image {height} x {width} px; export the mask at the image's size"
        )
    return Shot(pixels, mask)


def find_unmarked(defect_class: DefectClass, rule: LabelRule, limits: ImageLimits) -> frozenset[str]:
    """Ids of the images of a class whose mask marks nothing under the rule. Reads every mask.

    Raises:
        DatasetError: A mask cannot be read.
    """
    masks = ((pair.id, _read_mask(pair.mask_path, rule, limits)) for pair in defect_class.pairs if pair.mask_path)
    return frozenset(name for name, mask in masks if not mask.any())


def _read_mask(path: Path, rule: LabelRule, limits: ImageLimits) -> Mask:
    return _decode(path, lambda data: read_label(data, rule, limits))


def _decode(path: Path, decode: Callable[[bytes], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    try:
        return decode(path.read_bytes())
    except RequestError as error:
        raise DatasetError(f"{path}: {error.detail}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); check the file and its permissions") from error

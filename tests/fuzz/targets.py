"""What fuzzed inputs are given to in process. Each may refuse with an error of ours, and with nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from fuzz import inputs
from lerenet.api.annotations import annotated_masks
from lerenet.errors import LERENetError
from lerenet.formats.brush import decode_brush
from lerenet.imaging import ImageLimits, decode_coco_rle, decode_image, decode_mask

LIMITS = ImageLimits(max_pixels=4_000_000)
BLANK = np.zeros((inputs.HEIGHT, inputs.WIDTH), np.uint8)


def read_image(data: bytes) -> None:
    image = decode_image(data, LIMITS)
    assert image.dtype == np.uint8
    assert image.ndim == 2 or image.shape[2] == 3


def read_mask(data: bytes) -> None:
    assert set(np.unique(decode_mask(data, LIMITS))) <= {0, 1}


def read_rle(value: Any) -> None:
    assert list(decode_coco_rle(value, limits=LIMITS).shape) == list(value["size"])


def read_brush(value: Any) -> None:
    assert decode_brush(value, inputs.HEIGHT, inputs.WIDTH, limits=LIMITS).shape == BLANK.shape


def read_annotations(text: str) -> None:
    for each in annotated_masks(text, 1):
        assert each.read(BLANK, LIMITS).shape == BLANK.shape


TARGETS: dict[str, tuple[Callable[[Random], Any], Callable[[Any], None]]] = {
    "image": (inputs.image_file, read_image),
    "mask": (inputs.mask_file, read_mask),
    "rle": (inputs.rle, read_rle),
    "brush": (inputs.brush, read_brush),
    "annotations": (inputs.annotation_text, read_annotations),
}
"""Of each: what makes an input, and what reads it."""


def is_refused(read: Callable[[Any], None], value: Any) -> bool:
    """Whether an input is refused as it should be; what else it raises passes through."""
    try:
        read(value)
    except LERENetError:
        return True
    return False


def timed(read: Callable[[Any], None], value: Any) -> float:
    """Seconds that an input takes."""
    begun = time.perf_counter()
    is_refused(read, value)
    return time.perf_counter() - begun

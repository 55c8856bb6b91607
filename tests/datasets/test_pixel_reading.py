from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.datasets.reading import find_unmarked, read_shot
from lerenet.errors import DatasetError
from lerenet.imaging import ImageLimits, encode_image_png

LIMITS = ImageLimits()


@pytest.fixture
def bars(plates: Path) -> DefectClass:
    (found,) = open_folder(plates, ["steel/bars"])
    return found


def overwrite(path: Path | None, data: bytes) -> None:
    assert path is not None
    path.write_bytes(data)


def blank(height: int, width: int) -> bytes:
    return encode_image_png(np.zeros((height, width), dtype=np.uint8))


def test_pair_is_read_with_its_mask(bars: DefectClass) -> None:
    shot = read_shot(bars.pairs[0], "gt127", LIMITS)
    assert (shot.image[shot.mask == 1] == 220).all()
    assert shot.area_px == 120


def test_defect_free_image_has_an_empty_mask(bars: DefectClass) -> None:
    shot = read_shot(bars.normals[0], "gt127", LIMITS)
    assert shot.mask.shape == shot.image.shape
    assert shot.area_px == 0


def test_mask_of_another_size_is_named_with_both_sizes(bars: DefectClass) -> None:
    overwrite(bars.pairs[2].mask_path, blank(32, 48))
    with pytest.raises(DatasetError, match=r"masks/p02.png is 32 x 48 px \(H x W\), its image 64 x 64"):
        read_shot(bars.pairs[2], "gt127", LIMITS)


def test_broken_image_is_named(bars: DefectClass) -> None:
    overwrite(bars.pairs[2].image_path, blank(64, 64)[:50])
    with pytest.raises(DatasetError, match=r"images/p02.png: "):
        read_shot(bars.pairs[2], "gt127", LIMITS)


def test_vanished_image_is_named(bars: DefectClass) -> None:
    bars.pairs[2].image_path.unlink()
    with pytest.raises(DatasetError, match=r"images/p02.png cannot be read"):
        read_shot(bars.pairs[2], "gt127", LIMITS)


def test_unmarked_are_the_images_whose_mask_is_empty(bars: DefectClass) -> None:
    overwrite(bars.pairs[2].mask_path, blank(64, 64))
    assert find_unmarked(bars, "gt127", LIMITS) == {"p02"}


def test_label_rule_decides_what_is_unmarked(bars: DefectClass) -> None:
    overwrite(bars.pairs[2].mask_path, encode_image_png(np.full((64, 64), 200, dtype=np.uint8)))
    assert find_unmarked(bars, "gt127", LIMITS) == set()
    assert find_unmarked(bars, "eq255", LIMITS) == {"p02"}

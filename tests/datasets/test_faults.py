from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from folders import write_class
from lerenet.datasets.faults import N_FAULTS_NAMED, open_whole_folder
from lerenet.errors import DatasetError
from lerenet.imaging import ImageLimits, encode_grey_png


def _faults(root: Path, min_groups: int = 1) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        open_whole_folder(root, "gt127", ImageLimits(), min_groups=min_groups)
    return list(caught.value.faults)


def test_whole_folder_opens_as_it_is(plates: Path) -> None:
    found = open_whole_folder(plates, "gt127", ImageLimits(), min_groups=5)
    assert [each.name for each in found] == ["mt/cracks", "steel/bars"]


def test_every_kind_of_bad_pair_is_named(plates: Path) -> None:
    bars = plates / "steel" / "bars"
    (bars / "masks" / "p00.png").unlink()
    (bars / "images" / "p01.png").unlink()
    (bars / "images" / "p02.png").write_bytes((bars / "images" / "p02.png").read_bytes()[:80])
    (bars / "masks" / "p03.png").write_bytes(encode_grey_png(np.zeros((64, 64), np.uint8)))
    (bars / "masks" / "p04.png").write_bytes(encode_grey_png(np.full((32, 64), 255, np.uint8)))
    (bars / "normal" / "n01.png").write_bytes(b"no image")
    faults = _faults(plates)
    expected = (
        "'p00' has no counterpart in masks/",
        "'p01' has no counterpart in images/",
        "images/p02.png: the image is truncated",
        "masks/p03.png: nothing is marked under the label rule gt127",
        "masks/p04.png is 32 x 64 px (H x W), its image 64 x 64 px",
        "normal/n01.png: not a JPEG, PNG, BMP or TIFF",
    )
    assert len(faults) == len(expected)
    for words, fault in zip(expected, faults, strict=True):
        assert words in fault


def test_folder_without_masks_is_named(plates: Path) -> None:
    (plates / "steel" / "pits" / "images").mkdir(parents=True)
    assert _faults(plates) == [
        f"{plates / 'steel' / 'pits'} has images/ but no masks/; add the masks, or call the folder normal/"
    ]


def test_class_of_too_few_views_is_named(plates: Path) -> None:
    [fault] = _faults(plates, min_groups=6)
    assert fault.startswith("class mt/cracks: 5 groups of marked images, and 6 are needed")


def test_fault_of_a_shared_defect_free_image_is_named_once(plates: Path) -> None:
    write_class(plates / "mt" / "dents", 3)
    (plates / "mt" / "index.csv").unlink()
    (plates / "mt" / "free" / "normal" / "n00.png").write_bytes(b"no image")
    assert len(_faults(plates)) == 1


def test_image_that_the_index_lacks_is_named(plates: Path) -> None:
    index = plates / "mt" / "index.csv"
    index.write_text("\n".join(index.read_text(encoding="utf-8").splitlines()[:-1]), encoding="utf-8")
    [fault] = _faults(plates)
    assert "has no group for image 'p07'" in fault


def test_detail_names_the_first_faults_alone(plates: Path) -> None:
    for path in (plates / "steel" / "bars" / "masks").glob("p0[0-5].png"):
        path.unlink()
    with pytest.raises(DatasetError, match=f"6 faults to mend first: .*; and {6 - N_FAULTS_NAMED} more$"):
        open_whole_folder(plates, "gt127", ImageLimits())

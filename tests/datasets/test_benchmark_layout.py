from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from folders import write_benchmark, write_lists
from lerenet.datasets.benchmarks import BENCHMARKS, Benchmark, BenchmarkFold, find_benchmark, open_fold
from lerenet.datasets.benchmarks.layout import FROM_FOLDERS
from lerenet.errors import ConfigurationError, DatasetError
from lerenet.imaging import ImageLimits, encode_grey_png

STEEL = find_benchmark("fssd-12")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FSSD-12 with 3 pairs a class, read only."""
    root = tmp_path_factory.mktemp("fssd")
    write_benchmark(root, STEEL, 3, 2)
    return root


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """FSSD-12 with 2 pairs a class, to be damaged."""
    write_benchmark(tmp_path / "fssd", STEEL, 2)
    return tmp_path / "fssd"


def _open(root: Path, fold: int = 0, n_shots: int = 1, benchmark: Benchmark = STEEL) -> BenchmarkFold:
    return open_fold(benchmark, root, fold, n_shots, "eq255", ImageLimits())


def _faults(root: Path, n_shots: int = 1) -> str:
    with pytest.raises(DatasetError) as caught:
        _open(root, n_shots=n_shots)
    return "\n".join(caught.value.faults)


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_each_fold_tests_four_of_twelve_classes(benchmark: Benchmark) -> None:
    assert Counter(each.fold for each in benchmark.classes) == {0: 4, 1: 4, 2: 4}
    assert [each.id for each in benchmark.classes] == list(range(1, 13))


def test_fold_tests_what_the_papers_say() -> None:
    defects = find_benchmark("surface-defects-4i")
    assert [each.folder for each in defects.novel_classes(1)] == ["leather", "Steel_Pa", "Rail", "Steel_Sc"]
    assert [each.folder for each in STEEL.novel_classes(2)] == ["Steel_Ri", "Steel_Rp", "Steel_Sc", "Steel_Se"]
    assert len(defects.base_classes(1)) == 8


def test_unknown_benchmark_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="there are surface-defects-4i, fssd-12"):
        find_benchmark("pascal")


def test_without_lists_a_class_has_all_of_its_folder(whole: Path) -> None:
    fold = _open(whole, 1)
    assert [found.name for found in fold.novel] == ["Steel_Os", "Steel_Ws", "Steel_Pa", "Steel_Pk"]
    assert [pair.id for pair in fold.novel[0].pairs] == ["Steel_Os_1", "Steel_Os_2", "Steel_Os_3"]
    assert (len(fold.base), len(fold.novel[0].normals), fold.source) == (8, 2, FROM_FOLDERS)


def test_lists_decide_images_and_order(tmp_path: Path) -> None:
    write_benchmark(tmp_path, STEEL, 3)
    write_lists(tmp_path, STEEL, 2)
    fold = _open(tmp_path, 2)
    assert [pair.id for pair in fold.novel[0].pairs] == ["Steel_Ri_2", "Steel_Ri_1"]
    assert fold.source == "data_list/train/fold_2_defective.txt, data_list/test/fold_2_defective.txt"


def test_images_without_lists_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_benchmark(tmp_path, STEEL, 2)
    for kind in ("Images", "GT"):
        (tmp_path / "Steel_Am" / kind / "Steel_Am_2.png").rename(tmp_path / "Steel_Am" / kind / "Steel_Am_10.png")
        (tmp_path / "Steel_Am" / kind / "Steel_Am_1.png").rename(tmp_path / "Steel_Am" / kind / "Steel_Am_9.png")
    assert [pair.id for pair in _open(tmp_path).novel[0].pairs] == ["Steel_Am_9", "Steel_Am_10"]


def test_folder_spelt_with_a_small_l_is_found(broken: Path) -> None:
    (broken / "Steel_Ia").rename(broken / "Steel_la")
    assert len(_open(broken).novel[1].pairs) == 2


def test_missing_classes_are_all_named(broken: Path) -> None:
    (broken / "Steel_Am").rename(broken / "else")
    (broken / "Steel_Se" / "GT").rename(broken / "Steel_Se" / "gone")
    faults = _faults(broken)
    assert f"{broken / 'Steel_Am'} lacks Images/ and GT/ (abrasion mask)" in faults
    assert f"{broken / 'Steel_Se'} lacks Images/ and GT/ (inclusion)" in faults


def test_bad_pairs_of_both_sides_are_all_named(broken: Path) -> None:
    (broken / "Steel_Am" / "GT" / "Steel_Am_1.png").unlink()
    (broken / "Steel_Se" / "Images" / "Steel_Se_1.png").write_bytes(b"no image")
    (broken / "Steel_Pk" / "GT" / "Steel_Pk_2.png").write_bytes(encode_grey_png(np.full((48, 40), 255, np.uint8)))
    faults = _faults(broken)
    assert "Steel_Am_1.png has no mask" in faults
    assert "Steel_Se_1.png: not a JPEG" in faults
    assert "Steel_Pk_2.png is 48 x 40 px" in faults


def test_image_that_a_list_names_must_be_there(broken: Path) -> None:
    write_lists(broken, STEEL, 3)
    assert "Steel_Am/Images/Steel_Am_3.jpg is missing, and" in _faults(broken)


def test_list_of_another_fold_is_refused(broken: Path) -> None:
    write_lists(broken, STEEL, 2)
    test_list = broken / "data_list" / "test" / "fold_0_defective.txt"
    test_list.write_text("Steel_Se/Images/Steel_Se_1.jpg  12\nno id here\n", encoding="utf-8")
    faults = _faults(broken)
    assert "has class id 12, which is none of this fold's side" in faults
    assert "'no id here' is no path and class id" in faults


def test_class_too_small_for_the_shots_is_named(broken: Path) -> None:
    assert "class Steel_Am: 2 pairs, and 5-shot needs 6" in _faults(broken, n_shots=5)


def test_mask_without_full_white_is_no_fault(broken: Path) -> None:
    (broken / "Steel_Am" / "GT" / "Steel_Am_1.png").write_bytes(encode_grey_png(np.full((48, 48), 254, np.uint8)))
    assert len(_open(broken).novel[0].pairs) == 2


def test_fold_beyond_the_last_is_refused(whole: Path) -> None:
    with pytest.raises(ConfigurationError, match="folds 0 to 2"):
        _open(whole, 3)


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is no folder"):
        _open(tmp_path / "nowhere")

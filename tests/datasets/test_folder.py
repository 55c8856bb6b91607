from __future__ import annotations

from pathlib import Path

import pytest

from lerenet.datasets.folder import open_folder
from lerenet.errors import DatasetError


def test_folder_of_packs_lists_its_classes_by_name(plates: Path) -> None:
    assert [found.name for found in open_folder(plates)] == ["mt/cracks", "steel/bars"]


def test_pack_names_its_classes_without_the_pack(plates: Path) -> None:
    assert [found.name for found in open_folder(plates / "mt")] == ["cracks"]


def test_class_folder_opened_by_itself_keeps_its_groups_and_the_normals_of_its_pack(plates: Path) -> None:
    (cracks,) = open_folder(plates / "mt" / "cracks")
    assert (cracks.name, cracks.n_groups, len(cracks.normals)) == ("cracks", 5, 3)


def test_classes_come_in_the_order_asked_for(plates: Path) -> None:
    assert [found.name for found in open_folder(plates, ["steel/bars", "mt/cracks"])] == ["steel/bars", "mt/cracks"]


def test_index_of_the_pack_gives_the_groups(plates: Path) -> None:
    (cracks,) = open_folder(plates, ["mt/cracks"])
    assert [pair.group for pair in cracks.pairs] == ["v0", "v0", "v1", "v2", "v2", "v2", "v3", "v4"]
    assert cracks.is_grouped


def test_index_of_the_class_goes_before_that_of_the_pack(plates: Path) -> None:
    rows = "\n".join(f"p{i:02},own{i % 2}" for i in range(8))
    (plates / "mt" / "cracks" / "index.csv").write_text(f"id,group\n{rows}\n", encoding="utf-8")
    (cracks,) = open_folder(plates, ["mt/cracks"])
    assert {pair.group for pair in cracks.pairs} == {"own0", "own1"}


def test_every_image_is_its_own_group_without_an_index(plates: Path) -> None:
    (bars,) = open_folder(plates, ["steel/bars"])
    assert (bars.n_groups, bars.is_grouped) == (7, False)


def test_class_uses_its_own_normals(plates: Path) -> None:
    (bars,) = open_folder(plates, ["steel/bars"])
    assert {normal.image_path.parent for normal in bars.normals} == {plates.resolve() / "steel" / "bars" / "normal"}


def test_class_without_normals_takes_those_of_its_pack(plates: Path) -> None:
    (cracks,) = open_folder(plates, ["mt/cracks"])
    assert {normal.image_path.parent for normal in cracks.normals} == {plates.resolve() / "mt" / "free" / "normal"}


def test_defect_free_image_with_a_row_in_the_index_is_of_that_group(plates: Path) -> None:
    index = plates / "mt" / "index.csv"
    index.write_text(f"{index.read_text(encoding='utf-8')}n01,free,v3\n", encoding="utf-8")
    (cracks,) = open_folder(plates, ["mt/cracks"])
    groups = [normal.group for normal in cracks.normals]
    assert groups[1] == "v3"
    assert len({*groups, "v3"}) == 3


def test_class_never_takes_the_normals_of_a_sibling_class(plates: Path) -> None:
    (plates / "mt" / "free").rename(plates / "mt" / "cracks2")
    for name in ("images", "masks"):
        (plates / "mt" / "cracks2" / name).mkdir()
    (cracks,) = open_folder(plates, ["mt/cracks"])
    assert cracks.normals == ()


def test_folder_called_normals_is_read_too(plates: Path) -> None:
    (plates / "steel" / "bars" / "normal").rename(plates / "steel" / "bars" / "normals")
    (bars,) = open_folder(plates, ["steel/bars"])
    assert len(bars.normals) == 2


def test_files_that_are_no_images_are_left_alone(plates: Path) -> None:
    (plates / "steel" / "bars" / "images" / "Thumbs.db").write_bytes(b"x")
    (bars,) = open_folder(plates, ["steel/bars"])
    assert len(bars.pairs) == 7


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is no folder"):
        open_folder(tmp_path / "nowhere")


def test_folder_without_classes_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected \[pack/\]class/images"):
        open_folder(tmp_path)


def test_unknown_class_is_answered_with_the_known_ones(plates: Path) -> None:
    with pytest.raises(DatasetError, match=r"no class 'mt/pits'; it holds mt/cracks, steel/bars"):
        open_folder(plates, ["mt/pits"])


def test_image_without_a_mask_is_named_with_the_remedy(plates: Path) -> None:
    (plates / "steel" / "bars" / "masks" / "p03.png").unlink()
    with pytest.raises(DatasetError, match=r"'p03' has no counterpart in masks/ .* add masks/p03.png"):
        open_folder(plates)


def test_mask_without_an_image_is_named(plates: Path) -> None:
    (plates / "steel" / "bars" / "images" / "p03.png").unlink()
    with pytest.raises(DatasetError, match="'p03' has no counterpart in images/"):
        open_folder(plates)


def test_two_files_of_one_id_are_refused(plates: Path) -> None:
    images = plates / "steel" / "bars" / "images"
    (images / "p03.bmp").write_bytes((images / "p03.png").read_bytes())
    with pytest.raises(DatasetError, match=r"p03.png and p03.bmp share one id"):
        open_folder(plates)


def test_class_without_images_is_refused(plates: Path) -> None:
    for path in (plates / "mt" / "cracks").glob("*/*.png"):
        path.unlink()
    with pytest.raises(DatasetError, match="images holds no image"):
        open_folder(plates)

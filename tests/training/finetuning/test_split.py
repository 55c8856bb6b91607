from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from folders import write_class
from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.training.finetuning.split import split_folder


def _groups(found: DefectClass) -> set[str]:
    return {image.group for image in (*found.pairs, *found.normals)}


def test_sides_share_no_group(plates: Path) -> None:
    split = split_folder(open_folder(plates), seed=1)
    for learnt, held in zip(split.learnt, split.held_out, strict=True):
        assert learnt.name == held.name
        assert _groups(learnt).isdisjoint(_groups(held))
    assert split.faults == []


def test_no_image_is_lost(plates: Path) -> None:
    classes = open_folder(plates)
    split = split_folder(classes, seed=1)
    for found, learnt, held in zip(classes, split.learnt, split.held_out, strict=True):
        assert len(learnt.pairs) + len(held.pairs) == len(found.pairs)
        assert len(learnt.normals) + len(held.normals) == len(found.normals)


def test_a_tenth_is_held_out(tmp_path: Path) -> None:
    write_class(tmp_path / "bars", 30, 20)
    split = split_folder(open_folder(tmp_path), seed=1)
    assert (len(split.held_out[0].pairs), len(split.held_out[0].normals)) == (3, 2)


def test_small_class_holds_one_group_out(plates: Path) -> None:
    split = split_folder(open_folder(plates, ["steel/bars"]), seed=1)
    assert split.held_out[0].n_groups == 1


def test_seed_decides_the_split(tmp_path: Path) -> None:
    write_class(tmp_path / "bars", 30)
    held = [split_folder(open_folder(tmp_path), seed).held_out for seed in (1, 1, 2)]
    assert held[0] == held[1]
    assert held[0] != held[2]


def test_view_held_out_of_one_class_is_held_out_of_all(plates: Path) -> None:
    (cracks,) = open_folder(plates, ["mt/cracks"])
    split = split_folder([cracks, replace(cracks, name="mt/other")], seed=1)
    assert _groups(split.learnt[0]).isdisjoint(_groups(split.held_out[1]))


def test_class_that_is_left_too_small_is_named(plates: Path) -> None:
    (cracks,) = open_folder(plates, ["mt/cracks"])
    few = replace(cracks, pairs=tuple(pair for pair in cracks.pairs if pair.group in ("v0", "v1")))
    [fault] = split_folder([few], seed=1).faults
    assert fault.startswith("class mt/cracks: 1 groups are left")

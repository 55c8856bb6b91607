from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import Run, draw_bar
from client.fake_service import FakeService
from lerenet.formats.coco_dataset import coco_dataset
from lerenet.imaging import Mask, decode_mask, encode_coco_rle
from lerenet.imaging.limits import ImageLimits


def stored_masks(service: FakeService, name: str) -> list[Mask]:
    return [decode_mask(data, ImageLimits()) for data in service.files[name]["masks"]]


@pytest.fixture
def coco(bars: Path) -> Path:
    """An annotation file of the bars and, on one plate, a dent; images in their folder."""
    content = coco_dataset("Bright bar", [(f"{index}.png", draw_bar(index)[1]) for index in range(3)])
    dent = np.zeros((20, 30), np.uint8)
    dent[15:17, 2:4] = 1
    content["categories"].append({"id": 2, "name": "dents"})
    content["annotations"].append({"id": 9, "image_id": 2, "category_id": 2, "segmentation": encode_coco_rle(dent)})
    return written(bars / "coco.json", content)


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_import_registers_a_class_for_every_label(run: Run, service: FakeService, coco: Path, bars: Path) -> None:
    result = run("support", "import", coco, "--images", bars / "images")

    assert result.exit_code == 0, result.output
    assert {name: len(body["shots"]) for name, body in service.classes.items()} == {"Bright-bar": 3, "dents": 1}
    assert all(np.array_equal(stored_masks(service, "Bright-bar")[i], draw_bar(i)[1]) for i in range(3))
    assert service.files["dents"]["images"] == [(bars / "images" / "1.png").read_bytes()]
    assert "Bright-bar" in result.output


def test_import_takes_the_classes_that_are_named(run: Run, service: FakeService, coco: Path, bars: Path) -> None:
    assert run("support", "import", "dents", coco, "--images", bars / "images").exit_code == 0
    assert list(service.classes) == ["dents"]


def test_import_gives_a_label_another_name(run: Run, service: FakeService, coco: Path, bars: Path) -> None:
    words = ("support", "import", "bars", "holes", coco, "--images", bars / "images")
    assert run(*words, "--label", "Bright bar", "--label", "dents", "--shots", 2).exit_code == 0
    assert {name: len(body["shots"]) for name, body in service.classes.items()} == {"bars": 2, "holes": 1}


def test_import_looks_beside_the_file_for_images(run: Run, service: FakeService, coco: Path, bars: Path) -> None:
    coco.rename(bars / "images" / "coco.json")
    assert run("support", "import", "dents", bars / "images" / "coco.json").exit_code == 0


def test_import_of_a_labelme_folder(run: Run, service: FakeService, bars: Path) -> None:
    for index in range(2):
        points = [[10, 3], [20, 4 + index]]
        shape = {"label": "bars", "shape_type": "rectangle", "points": points}
        content = {"imagePath": f"{index}.png", "imageHeight": 20, "imageWidth": 30, "shapes": [shape]}
        written(bars / "images" / f"{index}.json", content)

    assert run("support", "import", bars / "images").exit_code == 0
    assert all(np.array_equal(stored_masks(service, "bars")[i], draw_bar(i)[1]) for i in range(2))


def test_import_of_an_unknown_label_names_those_there_are(run: Run, coco: Path) -> None:
    result = run("support", "import", "cracks", coco)
    assert result.exit_code == 2
    assert "'Bright bar', 'dents'" in " ".join(result.stderr.split())


def test_import_of_fewer_labels_than_names_is_bad_usage(run: Run, coco: Path) -> None:
    assert run("support", "import", "a", "b", coco, "--label", "dents").exit_code == 2


@pytest.mark.parametrize("names", [["dents", "Dents !"], ["日本"]])
def test_import_of_labels_that_make_no_name_asks_for_one(run: Run, bars: Path, names: list[str]) -> None:
    content = coco_dataset("x", [("0.png", draw_bar(0)[1])])
    content["categories"] = [{"id": i, "name": name} for i, name in enumerate(["dents", *names])]
    first = content["annotations"][0]
    content["annotations"] = [{**first, "category_id": i} for i, _ in enumerate(content["categories"])]
    content["categories"][0]["name"] = "dents !"
    assert run("support", "import", written(bars / "images" / "coco.json", content)).exit_code == 2


def test_import_without_the_images_says_which(run: Run, coco: Path) -> None:
    result = run("support", "import", coco)
    assert result.exit_code == 1
    assert "holds no 0.png: name its folder with --images" in result.stderr


def test_export_writes_a_folder_that_add_reads(run: Run, service: FakeService, bars: Path) -> None:
    run("support", "add", "bars", "--folder", bars)
    result = run("support", "export", "bars", "--out", "out")

    assert result.exit_code == 0, result.output
    assert run("support", "add", "again", "--folder", "out").exit_code == 0
    assert service.files["again"] == service.files["bars"]


def test_export_writes_a_coco_file_that_import_reads(run: Run, service: FakeService, bars: Path) -> None:
    run("support", "add", "bars", "--folder", bars)
    assert run("support", "export", "bars", "--out", "out", "--format", "coco").exit_code == 0

    assert (
        run("support", "import", "again", "out/annotations.json", "--label", "bars", "--images", "out/images").exit_code
        == 0
    )
    assert service.files["again"]["images"] == service.files["bars"]["images"]
    assert all(np.array_equal(stored_masks(service, "again")[i], draw_bar(i)[1]) for i in range(3))


def test_export_into_a_folder_that_is_not_empty_is_bad_usage(run: Run, bars: Path) -> None:
    assert run("support", "export", "bars", "--out", bars).exit_code == 2


def test_export_of_an_unknown_class_writes_nothing(run: Run, tmp_path: Path) -> None:
    assert run("support", "export", "bars", "--out", "out").exit_code == 1
    assert not (tmp_path / "out").exists()

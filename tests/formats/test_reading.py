from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.converter.brush import mask2rle

from lerenet.errors import DatasetError
from lerenet.formats.annotated import AnnotatedImage
from lerenet.formats.reading import read_annotations
from lerenet.imaging import Mask, encode_bilevel_png, encode_coco_rle, rle_counts

HEIGHT, WIDTH = 12, 20
SQUARE = [2, 3, 6, 3, 6, 8, 2, 8]


def square() -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:8, 2:6] = 1
    return mask


def written(folder: Path, content: Any, name: str = "annotations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def coco_file(*segmentations: Any, **changes: Any) -> dict[str, Any]:
    annotations = [
        {"id": i, "image_id": 7, "category_id": 2, "segmentation": each} for i, each in enumerate(segmentations)
    ]
    return {
        "images": [
            {"id": 7, "file_name": "line/a.png", "height": HEIGHT, "width": WIDTH},
            {"id": 8, "file_name": "b.png", "height": HEIGHT, "width": WIDTH},
        ],
        "categories": [{"id": 2, "name": "Scratch"}],
        "annotations": annotations,
        **changes,
    }


def labelme_file(*shapes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    labelled = [{"label": "Scratch", **shape} for shape in shapes]
    return {"imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": labelled, **changes}


def drawn(kind: str, **value: Any) -> dict[str, Any]:
    """A result of a Label Studio annotation."""
    sizes = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"type": kind, "value": {kind: ["Scratch"], **value}, **sizes}


def export(*results: dict[str, Any], image: str = "/data/upload/1/3fa85f64-a.png", **annotation: Any) -> Any:
    return [{"id": 1, "data": {"image": image}, "annotations": [{"result": list(results), **annotation}]}]


PERCENT = [[2 / 0.2, 3 / 0.12], [6 / 0.2, 3 / 0.12], [6 / 0.2, 8 / 0.12], [2 / 0.2, 8 / 0.12]]
PNG = b64encode(encode_bilevel_png(np.ones((5, 4), np.uint8))).decode()


@pytest.mark.parametrize(
    "content",
    [
        coco_file([SQUARE]),
        coco_file(encode_coco_rle(square())),
        coco_file({"size": [HEIGHT, WIDTH], "counts": rle_counts(square())}),
        coco_file([[2, 3, 6, 3, 6, 5, 2, 5]], [[2, 5, 6, 5, 6, 8, 2, 8]]),
        labelme_file({"points": [[2, 3], [6, 3], [6, 8], [2, 8]]}),
        labelme_file({"points": [[6, 8], [2.0, 3.0]], "shape_type": "rectangle"}),
        labelme_file({"points": [[2, 3], [5, 7]], "shape_type": "mask", "mask": PNG}),
        export(drawn("brushlabels", format="rle", rle=mask2rle(square() * np.uint8(255)))),
        export(drawn("polygonlabels", points=PERCENT)),
        export(drawn("rectanglelabels", x=10, y=25, width=20, height=5 / 0.12, rotation=0)),
        export(drawn("rectanglelabels", x=30, y=25, width=25, height=4 / 0.12, rotation=90)),
    ],
)
def test_every_way_to_draw_a_square_marks_its_pixels(tmp_path: Path, content: Any) -> None:
    [image] = read_annotations(written(tmp_path, content))

    assert list(image.shapes) == ["Scratch"]
    assert np.array_equal(image.mask("Scratch"), square())


def test_a_circle_has_its_area(tmp_path: Path) -> None:
    circle = {"points": [[10, 6], [15, 6]], "shape_type": "circle"}
    [image] = read_annotations(written(tmp_path, labelme_file(circle)))

    assert image.mask("Scratch").sum() == pytest.approx(np.pi * 25, rel=0.05)


def test_labels_are_kept_apart(tmp_path: Path) -> None:
    other = {"label": "Dent", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    [image] = read_annotations(written(tmp_path, labelme_file({"points": [[2, 3], [6, 3], [6, 8], [2, 8]]}, other)))

    assert np.array_equal(image.mask("Scratch"), square())
    assert image.mask("Dent").sum() == 1


def test_a_folder_of_labelme_files_is_read_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        written(tmp_path, labelme_file(imagePath=f"{name}.png"), f"{name}.json")

    assert [image.file_names[0] for image in read_annotations(tmp_path)] == ["a.png", "b.png"]


def test_the_last_annotation_that_was_not_cancelled_counts(tmp_path: Path) -> None:
    [task] = export(drawn("polygonlabels", points=[[0, 0], [1, 0], [1, 1]]))
    task["annotations"] += export(drawn("polygonlabels", points=PERCENT))[0]["annotations"]
    task["annotations"] += export(was_cancelled=True)[0]["annotations"]

    [image] = read_annotations(written(tmp_path, [task]))

    assert np.array_equal(image.mask("Scratch"), square())


def test_the_ground_truth_counts_before_later_annotations(tmp_path: Path) -> None:
    [task] = export(drawn("polygonlabels", points=PERCENT), ground_truth=True)
    task["annotations"] += export(drawn("polygonlabels", points=[[0, 0], [1, 0], [1, 1]]))[0]["annotations"]

    [image] = read_annotations(written(tmp_path, [task]))

    assert np.array_equal(image.mask("Scratch"), square())


def test_tasks_without_a_mark_are_left_out(tmp_path: Path) -> None:
    assert read_annotations(written(tmp_path, export({"type": "choices", "value": {"choices": ["ok"]}}))) == []


@pytest.mark.parametrize(
    ("file_name", "stored"),
    [
        ("line/a.png", "line/a.png"),
        ("line\\a.png", "line/a.png"),
        ("line/a.png", "a.png"),
        ("../pictures/a.png", "a.png"),
        ("/home/someone/a.png", "a.png"),
    ],
)
def test_an_image_is_found_by_its_path_or_by_its_name(tmp_path: Path, file_name: str, stored: str) -> None:
    (tmp_path / stored).parent.mkdir(exist_ok=True)
    (tmp_path / stored).touch()

    assert AnnotatedImage("here", (file_name,), 1, 1, {}).find(tmp_path) == tmp_path / stored


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/1/3fa85f64-a.png",
        "http://studio.example/data/upload/1/3fa85f64-a.png?token=x",
        "/data/local-files/?d=plates/a.png",
    ],
)
def test_an_upload_is_found_by_the_name_it_had(tmp_path: Path, address: str) -> None:
    (tmp_path / "a.png").touch()
    [image] = read_annotations(written(tmp_path, export(drawn("polygonlabels", points=PERCENT), image=address)))

    assert image.find(tmp_path) == tmp_path / "a.png"


def test_nothing_outside_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "images").mkdir()

    with pytest.raises(DatasetError, match="--images"):
        AnnotatedImage("here", ("../a.png",), 1, 1, {}).find(tmp_path / "images")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (7, "no COCO"),
        ([], "no COCO"),
        ({}, "no COCO"),
        ([{"image": "a.png", "tag": []}], "JSON-MIN"),
        (coco_file([SQUARE], images=None), "images"),
        (coco_file([SQUARE], images=[]), "image_id 7"),
        (coco_file([SQUARE], categories=[]), "category_id 2"),
        (coco_file([]), "a box is no mask"),
        (coco_file(annotations=[7]), r"annotations\[0\]: category_id"),
        (coco_file([SQUARE], images=[{"id": 7, "file_name": "a.png", "height": 0, "width": 4}]), "1 px or more"),
        (coco_file([SQUARE], images=[{"id": 7, "file_name": "a.png", "height": "9", "width": 4}]), "height"),
        (labelme_file({"points": [[2, 3], [6, 3]], "shape_type": "line"}), "line"),
        (labelme_file({"points": [[2, 3], [6, 3]]}), "polygon of 2"),
        (labelme_file({"points": [[2, 3], [6]]}), "a point is"),
        (labelme_file({"points": [[2, float("nan")], [6, 3]], "shape_type": "mask", "mask": PNG}), "a point is"),
        (labelme_file({"points": [[2, 3], [6, 3]], "shape_type": ["mask"]}), "shape_type"),
        (labelme_file({}), "points"),
        (export(drawn("polygonlabels", points=[[1, 2, 3]])), "percentages"),
        (export(drawn("polygonlabels", points=[["a", "b"]])), "percentages"),
        (export(drawn("rectanglelabels", x=1, y=10**400, width=1, height=1)), "y is"),
        (export({**drawn("polygonlabels", points=PERCENT), "image_rotation": 90}), "turn the image"),
        (export({**drawn("polygonlabels", points=PERCENT), "original_width": 0}), "1 px"),
        (export(drawn("polygonlabels", points=PERCENT), image="no picture"), "no path"),
        ([{"annotations": None, "data": {}}], "annotations"),
    ],
)
def test_a_malformed_file_is_refused_with_its_fault(tmp_path: Path, content: Any, named: str) -> None:
    with pytest.raises(DatasetError, match=named):
        read_annotations(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (coco_file({"size": [WIDTH, HEIGHT], "counts": rle_counts(square())}), "size is"),
        (coco_file({"size": [HEIGHT, WIDTH], "counts": [2**62, 2**62]}), "add up"),
        (coco_file([[1, 2, 3, 4]]), "3 or more points"),
        (coco_file([SQUARE], images=[{"id": 7, "file_name": "a.png", "height": 10**9, "width": 4}]), "over the limit"),
        (export(drawn("brushlabels", rle=[1, 2, 3])), "brush RLE"),
        (export(drawn("brushlabels")), "brush RLE"),
        (labelme_file({"points": [[18, 3], [6, 3]], "shape_type": "mask", "mask": PNG}), "border"),
        (labelme_file({"points": [[2, 3], [6, 3]], "shape_type": "mask", "mask": "%%%"}), "label Scratch"),
    ],
)
def test_a_shape_that_cannot_be_drawn_is_refused_with_its_place(tmp_path: Path, content: Any, named: str) -> None:
    [image] = read_annotations(written(tmp_path, content))

    with pytest.raises(DatasetError, match=named) as refusal:
        image.mask("Scratch")
    assert image.source in str(refusal.value)


def test_text_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)

    with pytest.raises(DatasetError, match="not JSON"):
        read_annotations(tmp_path / "a.json")


def test_a_folder_without_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="LabelMe"):
        read_annotations(tmp_path)

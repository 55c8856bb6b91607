from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lerenet.api.annotations import annotated_masks
from lerenet.api.errors import UnreadableBody
from lerenet.api.forms import MAX_JSON_BYTES
from lerenet.errors import BodyTooLarge, InvalidMask, InvalidSupport
from lerenet.imaging import Image, ImageLimits, Mask, encode_coco_rle, rle_counts

IMAGE: Image = np.zeros((12, 20), np.uint8)
SQUARE = [2, 3, 6, 3, 6, 8, 2, 8]
OTHER = [10, 0, 14, 0, 14, 2, 10, 2]


def square() -> Mask:
    mask = np.zeros((12, 20), np.uint8)
    mask[3:8, 2:6] = 1
    return mask


def both() -> Mask:
    mask = square()
    mask[0:2, 10:14] = 1
    return mask


def read(entry: Any) -> Mask:
    [annotation] = annotated_masks(json.dumps([entry]), 1)
    return annotation.read(IMAGE, ImageLimits())


@pytest.mark.parametrize(
    "entry",
    [
        encode_coco_rle(square()),
        {"size": [12, 20], "counts": rle_counts(square())},
        [SQUARE],
        {"segmentation": [SQUARE]},
        {"segmentation": encode_coco_rle(square()), "category_id": 1, "iscrowd": 0},
    ],
)
def test_an_annotation_marks_its_pixels(entry: Any) -> None:
    assert np.array_equal(read(entry), square())


@pytest.mark.parametrize(
    "entry",
    [
        [SQUARE, OTHER],
        [{"segmentation": [SQUARE]}, {"segmentation": [OTHER]}],
        [encode_coco_rle(square()), {"segmentation": [OTHER]}],
    ],
)
def test_several_shapes_are_joined(entry: Any) -> None:
    assert np.array_equal(read(entry), both())


def test_no_polygon_marks_nothing() -> None:
    assert not read([]).any()


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        "2,3,6,3",
        {"counts": "5"},
        {"size": [20, 12], "counts": rle_counts(square())},
        {"size": [12, 20], "counts": [1, 2, 3]},
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, True]],
        [[1, 2, 3, 4, 5, "6"]],
        [[1, 2, 3, 4, 5, 1e9]],
        [SQUARE] * 1_001,
        [{"segmentation": [SQUARE]}] * 251,
        [[0, 0, 20, 0, 20, 12, 0, 12] * 30_000],
    ],
)
def test_an_annotation_of_another_form_is_refused_with_its_place(entry: Any) -> None:
    with pytest.raises(InvalidMask) as refusal:
        read(entry)
    assert refusal.value.pointer == "/annotations/0"


@pytest.mark.parametrize("text", ["{}", "[]", "[1, 2]", "null", '"a"'])
def test_anything_but_one_entry_per_image_is_refused(text: str) -> None:
    with pytest.raises(InvalidSupport):
        annotated_masks(text, 1)


@pytest.mark.parametrize("text", ["", "[", "[[1, NaN]", "[" * 100_000])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(UnreadableBody):
        annotated_masks(text, 1)


def test_a_corner_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(InvalidMask, match="polygon"):
        read([[0, 0, 4, 0, 10**400, 4]])


def test_annotations_beyond_the_length_of_a_json_text_are_refused() -> None:
    with pytest.raises(BodyTooLarge):
        annotated_masks(" " * (MAX_JSON_BYTES + 1), 1)

"""Masks as CVAT, COCO and Label Studio take them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface.control_tags import BrushLabelsValue
from label_studio_sdk.label_interface.interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue
from pycocotools import mask as coco

from formats.masks import MASKS, thousand
from lerenet.errors import NotAcceptable
from lerenet.formats.boxes import mask_box
from lerenet.formats.coco_results import coco_result
from lerenet.formats.cvat import cvat_shape
from lerenet.formats.label_studio import brush_result, prediction
from lerenet.imaging import Mask

CONFIG = """<View><Image name="image" value="$image"/>
  <BrushLabels name="tag" toName="image"><Label value="scratches"/></BrushLabels></View>"""


def corner() -> Mask:
    mask = np.zeros((5, 7), np.uint8)
    mask[1:3, 2] = mask[2, 2:5] = 1
    return mask


def test_cvat_gets_the_pixels_of_the_box_then_the_inclusive_box() -> None:
    assert cvat_shape(corner(), (2, 1, 3, 2), "scratches", 0.9) == {
        "type": "mask",
        "label": "scratches",
        "confidence": "0.9",
        "mask": [1, 0, 0, 1, 1, 1, 2, 1, 4, 2],
    }


def test_cvat_gets_no_list_of_very_many_pixels() -> None:
    with pytest.raises(NotAcceptable, match="roi"):
        cvat_shape(np.ones((4_097, 4_096), np.uint8), (0, 0, 4_096, 4_097), "scratches", 0.9)


@thousand
@given(MASKS)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_results_equal_pycocotools(mask: Mask) -> None:
    expected = coco.encode(np.asfortranarray(mask))

    result = coco_result(mask, image_id=3, category_id=2, score=0.5)

    assert result["segmentation"]["counts"].encode() == expected["counts"]
    assert result["area"] == coco.area(expected)
    assert result["bbox"] == coco.toBbox(expected).tolist()


def test_an_empty_mask_has_no_box() -> None:
    assert mask_box(np.zeros((3, 4), np.uint8)) is None


def test_label_studio_takes_a_prediction() -> None:
    made = prediction([brush_result(corner(), "scratches", 0.75)], "scratches@1", 0.75)

    assert LabelInterface(CONFIG).validate_prediction(made, return_errors=True) == []
    assert PredictionValue.model_validate(made).model_dump() == made
    BrushLabelsValue(**made["result"][0]["value"])
    pixels = np.asarray(decode_rle(made["result"][0]["value"]["rle"])).reshape(5, 7, 4)
    assert np.array_equal(pixels[..., 3], 255 * corner())


def test_label_studio_takes_a_prediction_of_nothing() -> None:
    assert LabelInterface(CONFIG).validate_prediction(prediction([], "v", 0.1), return_errors=True) == []

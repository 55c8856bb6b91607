from __future__ import annotations

import numpy as np
import pytest

from lerenet.datasets.labels import LabelRule, read_label
from lerenet.errors import InvalidMask
from lerenet.imaging import ImageLimits, encode_image_png

SOFT = np.array([[0, 30, 127], [128, 254, 255]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("gt127", [[0, 0, 0], [1, 1, 1]]),
        ("eq255", [[0, 0, 0], [0, 0, 1]]),
        ("gt0", [[0, 1, 1], [1, 1, 1]]),
    ],
)
def test_rule_makes_the_label_of_a_soft_mask(rule: LabelRule, expected: list[list[int]]) -> None:
    mask = read_label(encode_image_png(SOFT), rule, ImageLimits())
    assert mask.tolist() == expected
    assert mask.dtype == np.uint8


def test_colour_counts_by_its_strongest_channel() -> None:
    colours = np.array([[[0, 0, 0], [0, 0, 200], [255, 255, 255]]], dtype=np.uint8)
    assert read_label(encode_image_png(colours), "gt0", ImageLimits()).tolist() == [[0, 1, 1]]


def test_default_rule_refuses_what_the_service_refuses() -> None:
    labels = np.array([[0, 1, 2, 3]], dtype=np.uint8)
    with pytest.raises(InvalidMask):
        read_label(encode_image_png(labels), "gt127", ImageLimits())

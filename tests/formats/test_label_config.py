from __future__ import annotations

import pytest

from lerenet.errors import MalformedRequest
from lerenet.formats.label_config import BrushControl, brush_control

CONFIG = """<View>
  <Image name="photo" value="$plate" zoom="true"/>
  <!-- painted by hand -->
  <BrushLabels name="paint" toName="photo">
    <Label value="Scratches" background="#f00"/>
    <Label value="Hole" predicted_values="blowhole, Pit"/>
  </BrushLabels>
</View>"""


def test_the_brush_is_found_with_its_image() -> None:
    control = brush_control(CONFIG)

    assert (control.from_name, control.to_name, control.image_field) == ("paint", "photo", "plate")


@pytest.mark.parametrize(
    ("name", "label"),
    [("scratches", "Scratches"), ("Scratches", "Scratches"), ("blowhole", "Hole"), ("pit", "Hole"), ("hole", None)],
)
def test_a_label_stands_for_classes(name: str, label: str | None) -> None:
    assert brush_control(CONFIG).label_of(name) == label


def test_without_a_configuration_a_class_is_its_own_label() -> None:
    assert BrushControl().label_of("scratches") == "scratches"


@pytest.mark.parametrize(
    "config",
    [
        "",
        "no xml",
        "<View/>",
        '<View><BrushLabels name="tag" toName="image"/></View>',
        '<View><Image name="image" value="$image"/><RectangleLabels name="tag" toName="image"/></View>',
        '<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>',
        "<View>" + " " * 1_000_000 + "</View>",
    ],
)
def test_a_configuration_without_a_brush_is_refused(config: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        brush_control(config, pointer="/schema")
    assert refusal.value.pointer == "/schema"

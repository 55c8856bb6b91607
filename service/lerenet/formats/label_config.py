"""Label Studio's labelling configuration: which brush paints which labels on which image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from lerenet.errors import MalformedRequest
from lerenet.formats.label_studio import FROM_NAME, TO_NAME

MAX_CONFIG_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class BrushControl:
    """The brush of a configuration.

    Attributes:
        from_name: Of the `BrushLabels`.
        to_name: Of the `Image`.
        image_field: Of a task's data, where the image's address is; None for the first text there.
        labels: Each label by the names of classes that it stands for, lower case; None for any class by its own name.
    """

    from_name: str = FROM_NAME
    to_name: str = TO_NAME
    image_field: str | None = None
    labels: Mapping[str, str] | None = field(default=None)

    def label_of(self, name: str) -> str | None:
        """The label of a class; None when there is none."""
        return name if self.labels is None else self.labels.get(name.casefold())


def brush_control(config: str, *, pointer: str | None = None) -> BrushControl:
    """The first `BrushLabels` of a configuration.

    A label stands for the classes in its `predicted_values`, comma-separated; without that for the class of its name.

    Args:
        config: XML.
        pointer: Where in the request it lies.

    Raises:
        MalformedRequest: It is no XML, or has no `BrushLabels` on an `Image`.
    """
    root = _parsed(config, pointer)
    images = {each.get("name"): each.get("value", "").removeprefix("$") for each in root.iter("Image")}
    for brush in root.iter("BrushLabels"):
        from_name, to_name = brush.get("name"), brush.get("toName")
        if from_name and to_name and to_name in images:
            labels = {name: label for each in brush.iter("Label") for name, label in _named(each)}
            return BrushControl(from_name, to_name, images[to_name] or None, labels)
    detail = (
        "the labelling configuration has no BrushLabels with the toName of an Image: take Label Studio's template"
        " Semantic Segmentation with Masks"
    )
    raise MalformedRequest(detail, pointer=pointer)


def _parsed(config: str, pointer: str | None) -> ElementTree.Element:
    # entities could unfold to any length; Label Studio writes none
    if len(config) > MAX_CONFIG_CHARACTERS or "<!" in config.replace("<!--", ""):
        detail = (
            f"a labelling configuration has at most {MAX_CONFIG_CHARACTERS} characters and declares nothing with <!"
        )
        raise MalformedRequest(detail, pointer=pointer)
    try:
        return ElementTree.fromstring(config)  # noqa: S314 - no entities are left, see above
    except (ElementTree.ParseError, ValueError) as err:
        raise MalformedRequest(f"the labelling configuration is no XML: {err}", pointer=pointer) from err


def _named(label: ElementTree.Element) -> list[tuple[str, str]]:
    value = label.get("value", "")
    names = label.get("predicted_values") or value
    return [(name.strip().casefold(), value) for name in names.split(",")]

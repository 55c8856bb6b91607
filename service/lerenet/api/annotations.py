"""Masks from annotations: JSON beside the images, one entry per image.

An entry is COCO RLE (`{"size": [H, W], "counts": ...}`), a list of polygons (`[[x1, y1, x2, y2, ...], ...]`, in pixels
as displayed, their union is marked), or an object with either under `segmentation`, as in a COCO annotation. Several
annotations of one image stand in a list; their union is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lerenet.api.forms import parsed_json
from lerenet.errors import InvalidMask, InvalidSupport
from lerenet.formats.polygons import checked_polygons, fill_polygons
from lerenet.imaging import Image, ImageLimits, Mask, decode_coco_rle, decode_mask

MAX_ANNOTATIONS = 250

MAX_EXPANDED_PX = 1_000_000_000
"""Of all run-length encoded annotations of an image, each expanded to its size: about ten seconds of work."""

_FORMS = 'COCO RLE {"size": [H, W], "counts": ...}, or polygons [[x1, y1, x2, y2, x3, y3, ...], ...]'


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask that was sent as an image file."""

    data: bytes
    pointer: str

    def read(self, image: Image, limits: ImageLimits) -> Mask:
        """Decodes it; see `imaging.masks`."""
        return decode_mask(self.data, limits, pointer=self.pointer)


@dataclass(frozen=True, eq=False)
class Annotation:
    """A mask that was sent as one entry of `annotations`."""

    entry: Any
    pointer: str

    def read(self, image: Image, limits: ImageLimits) -> Mask:
        """Rasterises it at the image's size.

        Raises:
            InvalidMask: It is of no known form, or an RLE of another size.
        """
        entries = [self.entry] if _is_single(self.entry) else self.entry
        if len(entries) > MAX_ANNOTATIONS:
            raise InvalidMask(
                f"one image has {len(entries)} annotations; at most {MAX_ANNOTATIONS}", pointer=self.pointer
            )
        height, width = image.shape[:2]
        n_runs = sum(isinstance(entry, dict) for entry in entries)
        if n_runs > 1 and n_runs * height * width > MAX_EXPANDED_PX:
            detail = f"{n_runs} annotations of {height} x {width} px (H x W) each: join them into one, or send a mask"
            raise InvalidMask(detail, pointer=self.pointer)
        mask: Mask = np.zeros((height, width), np.uint8)
        for entry in entries:
            mask |= self._one(entry, height, width, limits)
        return mask

    def _one(self, entry: Any, height: int, width: int, limits: ImageLimits) -> Mask:
        shape = entry["segmentation"] if isinstance(entry, dict) and "segmentation" in entry else entry
        if isinstance(shape, list):
            return self._polygons(shape, height, width)
        if not isinstance(shape, dict):
            raise InvalidMask(f"an annotation is neither of {_FORMS}", pointer=self.pointer)
        if shape.get("size") != [height, width]:
            detail = (
                f"an RLE of size {str(shape.get('size'))[:40]} for an image of [{height}, {width}] (H, W) as displayed"
            )
            raise InvalidMask(detail, pointer=self.pointer)
        return decode_coco_rle(shape, limits=limits, pointer=self.pointer)

    def _polygons(self, polygons: list[Any], height: int, width: int) -> Mask:
        try:
            return fill_polygons(checked_polygons(polygons), height, width)
        except ValueError as err:
            raise InvalidMask(str(err), pointer=self.pointer) from err


def annotated_masks(text: str, n_images: int) -> list[Annotation]:
    """The entries of an `annotations` field.

    Raises:
        BodyTooLarge: It is longer than `forms.MAX_JSON_BYTES`.
        UnreadableBody: It is not JSON.
        InvalidSupport: It is not a list of as many entries as there are images.
    """
    entries = parsed_json(text, "annotations", pointer="/annotations")
    if not isinstance(entries, list) or len(entries) != n_images:
        found = f"{len(entries)} entries" if isinstance(entries, list) else f"a JSON {type(entries).__name__}"
        detail = f"annotations hold {found} for {n_images} images: send a list with one entry per image, in their order"
        raise InvalidSupport(detail, pointer="/annotations")
    return [Annotation(entry, f"/annotations/{i}") for i, entry in enumerate(entries)]


def _is_single(entry: Any) -> bool:
    """Whether an entry is one annotation, and not a list of several."""
    is_several = isinstance(entry, list) and bool(entry) and all(isinstance(each, dict) for each in entry)
    return not is_several

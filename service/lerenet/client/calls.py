"""The service's calls, each described once for both clients: its arguments, what is sent, how the answer is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replaced
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from lerenet.client.metadata import Metadata, metadata_fields
from lerenet.client.results import ClassPage, FrameResult, SegmentAnswer, SupportClass
from lerenet.client.steps import Request, Steps, asked
from lerenet.client.uploads import ImageSource, MaskSource, image_parts, mask_parts
from lerenet.errors import InvalidSupport, LERENetError, ServiceError
from lerenet.imaging import ImageLimits, Mask, decode_mask

MaskForm = Literal["binary", "probability", "none"]

_FORMATS: dict[MaskForm, str] = {"binary": "coco_rle", "probability": "probability", "none": "none"}
_CLASS = TypeAdapter(SupportClass)
_PAGE = TypeAdapter(ClassPage)
_ANSWER = TypeAdapter(SegmentAnswer)
Body = TypeVar("Body")


def ready() -> Steps[bool]:
    """Whether requests are answered now."""
    try:
        yield from check_ready()
    except ServiceError:
        return False
    return True


def check_ready() -> Steps[None]:
    """Asks once whether requests are answered now; if not, the error says why."""
    yield from asked(Request("GET", "/readyz", patience="probe"), max_retries=0)


def register(
    name: str,
    shots: Sequence[tuple[ImageSource, MaskSource]],
    *,
    normals: Sequence[ImageSource] = (),
    replace: bool = False,
    threshold: float | None = None,
    min_area_px: int | None = None,
    description: str | None = None,
    min_score: float | None = None,
) -> Steps[SupportClass]:
    """Registers a class; it is ready to use when this returns. The same content again changes nothing.

    Args:
        name: Letters, digits, `.`, `_`, `-`; at most 64.
        shots: Images with their masks, 1 to 10 as a rule.
        normals: Defect-free images of the same surface.
        replace: Take the place of a class of that name; otherwise one with other content is refused.
        threshold: Probability from which a pixel is marked, 0 to 1; None leaves it to the service.
        min_area_px: Regions of fewer pixels are left out.
        description: Free text.
        min_score: Regions of a lower score are left out, 0 to 1; None leaves it to the service.

    Raises:
        InvalidSupport: There are no shots.
    """
    if not shots:
        raise InvalidSupport("a class is made of at least one image with its mask: give shots", pointer="/images")
    files = [
        *image_parts("images", [image for image, _ in shots]),
        *mask_parts([mask for _, mask in shots]),
        *image_parts("normals", normals),
    ]
    fields = _sent(threshold=threshold, min_area_px=min_area_px, description=description, min_score=min_score)
    if replace:
        request = Request("PUT", _class_path(name), files, fields, patience="registration")
    else:
        request = Request("POST", "/support", files, {"name": name, **fields}, patience="registration")
    return _parsed(_CLASS, (yield from asked(request)))


def classes() -> Steps[list[SupportClass]]:
    """All registered classes, by name."""
    found: list[SupportClass] = []
    cursor: str | None = None
    while True:
        page = _parsed(_PAGE, (yield from asked(Request("GET", "/support", params=_sent(cursor=cursor)))))
        found += page.classes
        cursor = page.next
        if cursor is None:
            return found


def get(name: str) -> Steps[SupportClass]:
    """One class, as `name` or `name@revision`."""
    return _parsed(_CLASS, (yield from asked(Request("GET", _class_path(name)))))


def shot_image(name: str, index: int) -> Steps[bytes]:
    """The image file of a shot, as it was sent."""
    response = yield from asked(Request("GET", f"{_class_path(name)}/shots/{index}/image"))
    return response.content


def shot_mask(name: str, index: int) -> Steps[Mask]:
    """The mask of a shot, (H, W) uint8 in {0, 1}."""
    response = yield from asked(Request("GET", f"{_class_path(name)}/shots/{index}/mask"))
    return decode_mask(response.content, ImageLimits())


def delete(name: str) -> Steps[None]:
    """Forgets a class with all its revisions."""
    yield from asked(Request("DELETE", _class_path(name)))


def segment(
    images: Sequence[ImageSource],
    classes: Sequence[str] | None = None,
    threshold: float | None = None,
    *,
    min_area_px: int | None = None,
    min_score: float | None = None,
    roi: tuple[int, int, int, int] | None = None,
    bits: Literal[12, 16] = 16,
    mask: MaskForm = "binary",
    metadata: Metadata | None = None,
) -> Steps[list[FrameResult]]:
    """Finds registered defects. All images are answered, or none.

    Args:
        images: In one request; `/limits` says how many it may hold.
        classes: As `name` or `name@revision`; None for all.
        threshold: Instead of each class's own, 0 to 1.
        min_area_px: Instead of each class's own.
        min_score: Instead of each class's own, 0 to 1.
        roi: `(x, y, w, h)` in pixels as displayed: only this part of each image is looked at.
        bits: Depth of 16-bit grey images.
        mask: What each result holds as its mask: see `ClassResult.mask`.
        metadata: Of the inspection, for the service's log and the results: `station`, `part`, `timestamp` (ISO 8601)
            and fields of your own with texts, numbers, booleans or None.

    Returns:
        One result for each image, in order.
    """
    if not images:
        return []
    fields = _sent(
        classes=None if classes is None else ",".join([classes] if isinstance(classes, str) else classes),
        threshold=threshold,
        min_area_px=min_area_px,
        min_score=min_score,
        roi=None if roi is None else ",".join(map(str, roi)),
        bits=bits,
        format=_FORMATS[mask],
        **metadata_fields(metadata or {}),
    )
    request = Request("POST", "/segment", [*image_parts("images", images)], fields)
    answer = _parsed(_ANSWER, (yield from asked(request)))
    weights, request_id, said = answer.weights, answer.request_id, answer.metadata
    return [replaced(each, weights=weights, request_id=request_id, metadata=said) for each in answer.results]


def _sent(**fields: Any) -> dict[str, str]:
    """Form fields or parameters without those that are None."""
    return {name: str(value) for name, value in fields.items() if value is not None}


def _class_path(name: str) -> str:
    return f"/support/{quote(name, safe='@')}"


def _parsed(adapter: TypeAdapter[Body], response: httpx.Response) -> Body:
    try:
        return adapter.validate_json(response.content)
    except (ValidationError, LERENetError) as err:
        raise ServiceError(
            f"{response.url} answered with something else than this client knows; are both of one version? ({err})"
        ) from err

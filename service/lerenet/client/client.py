"""The service's calls as methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from lerenet.client.connection import Connection
from lerenet.client.results import ClassPage, FrameResult, SegmentAnswer, SupportClass
from lerenet.client.uploads import ImageSource, MaskSource, image_parts, mask_parts
from lerenet.errors import InvalidSupport, LERENetError, ServiceError
from lerenet.imaging import ImageLimits, Mask, decode_mask

MaskForm = Literal["binary", "probability", "none"]

PROBE_TIMEOUT_S = 5.0

_FORMATS: dict[MaskForm, str] = {"binary": "coco_rle", "probability": "probability", "none": "none"}
_CLASS = TypeAdapter(SupportClass)
_PAGE = TypeAdapter(ClassPage)
_ANSWER = TypeAdapter(SegmentAnswer)
Body = TypeVar("Body")


class Client:
    """A synchronous client; a context manager, safe to share between threads.

    Every method raises `ServiceProblem` when the service refuses or fails, and `ServiceError` when it does not answer,
    or not as a LERENet service does. A busy service (503 with `Retry-After`) is asked again a few times.

    Args:
        base_url: Such as `http://127.0.0.1:8000`.
        api_key: Where the service wants one.
        timeout_s: Longest silence, in seconds.
        registration_timeout_s: The same while the service prepares a class, in seconds.
        transport: Instead of the network, such as `httpx.MockTransport`.
        sleep: Waits for a number of seconds.

    Raises:
        ConfigurationError: `base_url` is no http or https address.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        registration_timeout_s: float = 600.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = Connection(base_url, api_key=api_key, transport=transport, sleep=sleep)
        self._timeout_s = timeout_s
        self._registration_timeout_s = registration_timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._connection.url

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    def ready(self) -> bool:
        """Whether requests are answered now."""
        try:
            self.check_ready()
        except ServiceError:
            return False
        return True

    def check_ready(self) -> None:
        """Asks once whether requests are answered now; if not, the error says why."""
        self._connection.ask("GET", "/readyz", timeout_s=min(PROBE_TIMEOUT_S, self._timeout_s), max_retries=0)

    def register(
        self,
        name: str,
        shots: Sequence[tuple[ImageSource, MaskSource]],
        *,
        normals: Sequence[ImageSource] = (),
        replace: bool = False,
        threshold: float | None = None,
        min_area_px: int | None = None,
        description: str | None = None,
        min_score: float | None = None,
    ) -> SupportClass:
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
        call = ("PUT", _class_path(name)) if replace else ("POST", "/support")
        response = self._connection.ask(
            *call,
            timeout_s=self._registration_timeout_s,
            files=files,
            data=fields if replace else {"name": name, **fields},
        )
        return _parsed(_CLASS, response)

    def classes(self) -> list[SupportClass]:
        """All registered classes, by name."""
        found: list[SupportClass] = []
        cursor: str | None = None
        while True:
            page = _parsed(_PAGE, self._ask("GET", "/support", params=_sent(cursor=cursor)))
            found += page.classes
            cursor = page.next
            if cursor is None:
                return found

    def get(self, name: str) -> SupportClass:
        """One class, as `name` or `name@revision`."""
        return _parsed(_CLASS, self._ask("GET", _class_path(name)))

    def shot_image(self, name: str, index: int) -> bytes:
        """The image file of a shot, as it was sent."""
        return self._ask("GET", f"{_class_path(name)}/shots/{index}/image").content

    def shot_mask(self, name: str, index: int) -> Mask:
        """The mask of a shot, (H, W) uint8 in {0, 1}."""
        response = self._ask("GET", f"{_class_path(name)}/shots/{index}/mask")
        return decode_mask(response.content, ImageLimits())

    def delete(self, name: str) -> None:
        """Forgets a class with all its revisions."""
        self._ask("DELETE", _class_path(name))

    def segment(
        self,
        images: Sequence[ImageSource],
        classes: Sequence[str] | None = None,
        threshold: float | None = None,
        *,
        min_area_px: int | None = None,
        min_score: float | None = None,
        roi: tuple[int, int, int, int] | None = None,
        bits: Literal[12, 16] = 16,
        mask: MaskForm = "binary",
    ) -> list[FrameResult]:
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
        )
        answer = _parsed(_ANSWER, self._ask("POST", "/segment", files=[*image_parts("images", images)], data=fields))
        return [replace(frame, weights=answer.weights, request_id=answer.request_id) for frame in answer.results]

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._connection.ask(method, path, timeout_s=self._timeout_s, **content)


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

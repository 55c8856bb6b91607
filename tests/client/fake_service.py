"""A service in memory, behind `httpx.MockTransport`: it marks what is brighter than 200."""

from __future__ import annotations

import email.policy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any, NamedTuple

import httpx
import numpy as np

from lerenet.errors import LERENetError
from lerenet.imaging import ImageLimits, Mask, decode_image, decode_mask, encode_coco_rle

BRIGHT = 200
REVISION = "9f2d04c1a7be3358"
CREATED_AT = "2026-03-02T08:15:30Z"
LIMITS = ImageLimits()


class Part(NamedTuple):
    field: str
    filename: str | None
    data: bytes


@dataclass
class FakeService:
    """Attributes:
    answers: Given first, in order, instead of what the service would say.
    segmentations: The same for `/segment`.
    page_size: Classes on a page of the list.
    """

    answers: list[httpx.Response] = field(default_factory=list)
    segmentations: list[httpx.Response] = field(default_factory=list)
    page_size: int = 100
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, list[bytes]]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            return self.answers.pop(0)
        match request.method, *request.url.path.strip("/").split("/"):
            case "GET", "readyz":
                answer = httpx.Response(200, json={"status": "ready"})
            case "POST", "support":
                answer = self._register(request, fields(request)["name"], is_replacing=False)
            case "GET", "support":
                answer = self._page(request)
            case "POST", "segment":
                answer = self._segment(request)
            case "GET", "support", name, "shots", index, "image" | "mask" as kind:
                answer = httpx.Response(200, content=self.files[name.partition("@")[0]][f"{kind}s"][int(index)])
            case "PUT", "support", name:
                answer = self._register(request, name, is_replacing=True)
            case method, "support", name:
                answer = self._class(method, name)
            case _:
                answer = problem(404, "not_found", f"no route {request.url.path}")
        return answer

    def _register(self, request: httpx.Request, name: str, *, is_replacing: bool) -> httpx.Response:
        if name in self.classes and not is_replacing:
            return problem(409, "class_exists", f"{name} is taken by other content")
        sent = parts(request)
        masks = [decode_mask(part.data, LIMITS) for part in sent if part.field == "masks"]
        self.files[name] = {kind: [part.data for part in sent if part.field == kind] for kind in ("images", "masks")}
        normals = sum(part.field == "normals" for part in sent)
        self.classes[name] = class_body(name, masks, normals, float(fields(request).get("threshold", 0.5)))
        return httpx.Response(201, json=self.classes[name])

    def _page(self, request: httpx.Request) -> httpx.Response:
        names = sorted(name for name in self.classes if name > request.url.params.get("cursor", ""))
        shown = names[: self.page_size]
        following = shown[-1] if len(names) > len(shown) else None
        return httpx.Response(200, json={"classes": [self.classes[name] for name in shown], "next": following})

    def _class(self, method: str, reference: str) -> httpx.Response:
        name = reference.partition("@")[0]
        if name not in self.classes:
            return problem(404, "unknown_class", f"there is no class {name}")
        if method == "GET":
            return httpx.Response(200, json=self.classes[name])
        del self.classes[name]
        return httpx.Response(204)

    def _segment(self, request: httpx.Request) -> httpx.Response:
        if self.segmentations:
            return self.segmentations.pop(0)
        asked = fields(request).get("classes")
        names = [each.partition("@")[0] for each in asked.split(",")] if asked else sorted(self.classes)
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            return problem(404, "unknown_class", f"there is no class {unknown[0]}")
        try:
            frames = [_frame(index, part, names) for index, part in enumerate(parts(request)) if part.filename]
        except LERENetError as err:
            return problem(422, err.code, err.detail, pointer="/images/0")
        metadata = {name: sent for name, sent in fields(request).items() if name in ("station", "part", "timestamp")}
        metadata |= json.loads(fields(request).get("metadata", "{}"))
        answer = {"request_id": "q-1", "weights": "ab" * 32, "metadata": metadata, "results": frames}
        return httpx.Response(200, json=answer)


def parts(request: httpx.Request) -> list[Part]:
    """The parts of a multipart request, in order."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.content)
    return [
        Part(str(part.get_param("name", header="content-disposition")), part.get_filename(), _payload(part))
        for part in message.iter_parts()
    ]


def fields(request: httpx.Request) -> dict[str, str]:
    """The parts that are no files."""
    return {part.field: part.data.decode() for part in parts(request) if part.filename is None}


def problem(status: int, code: str, detail: str, *, pointer: str | None = None, **headers: str) -> httpx.Response:
    body = {
        "type": f"/problems/{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "instance": "urn:request:q-1",
        "code": code,
        "request_id": "q-1",
        "errors": [] if pointer is None else [{"pointer": pointer, "detail": detail}],
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=json.dumps(body), headers=named)


def class_body(name: str, masks: list[Mask], normals: int = 0, threshold: float = 0.5) -> dict[str, Any]:
    shots = [
        {"index": index, "height": mask.shape[0], "width": mask.shape[1], "area_px": int(mask.sum())}
        for index, mask in enumerate(masks)
    ]
    return {
        "name": name,
        "revision": REVISION,
        "created_at": CREATED_AT,
        "description": "",
        "shots": shots,
        "normals": normals,
        "threshold": threshold,
        "min_area_px": 0,
        "scale": 1.0,
        "quality": {"loo_iou": 0.75},
    }


def _payload(part: Any) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def _frame(index: int, part: Part, names: list[str]) -> dict[str, Any]:
    image = decode_image(part.data, LIMITS)
    grey = image if image.ndim == 2 else image.max(axis=2)
    mask: Mask = (grey > BRIGHT).astype(np.uint8)
    height, width = mask.shape
    found = [dict(_found(mask), name=name) for name in names]
    return {"index": index, "filename": part.filename, "height": height, "width": width, "classes": found}


def _found(mask: Mask) -> dict[str, Any]:
    box = list(_box(mask))
    area_px = int(mask.sum())
    return {
        "revision": REVISION,
        "score": 0.9,
        "threshold": 0.5,
        "area_px": area_px,
        "area_fraction": area_px / mask.size,
        "bbox": box or None,
        "regions": [{"bbox": box, "area_px": area_px, "score": 0.9}] if box else [],
        "mask": encode_coco_rle(mask),
    }


def _box(mask: Mask) -> Iterator[int]:
    rows, columns = np.nonzero(mask)
    if rows.size:
        yield from (int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)

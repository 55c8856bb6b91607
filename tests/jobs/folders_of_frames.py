"""Folders of plates with a bright bar each, and a job on them against a service in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from client.fake_service import FakeService, class_body
from lerenet.client import Client
from lerenet.imaging import Image, Mask, encode_image_png
from lerenet.jobs import Asked, FileOutcome, FolderJob, find_images
from lerenet.jobs.totals import Totals

SHAPE = (12, 16)


def draw(index: int) -> tuple[Image, Mask]:
    """A plate whose bar has `index % 8` pixels: every eighth is defect-free."""
    mask: Mask = np.zeros(SHAPE, np.uint8)
    mask[4, 2 : 2 + index % 8] = 1
    plate: Image = np.where(mask == 1, 240, 60 + index % 100).astype(np.uint8)
    return plate, mask


def write_frames(folder: Path, n: int, broken: Sequence[int] = ()) -> None:
    folder.mkdir()
    for index in range(n):
        data = encode_image_png(draw(index)[0])
        (folder / f"{index:03}.png").write_bytes(data[:40] if index in broken else data)


def service_with(*names: str) -> FakeService:
    return FakeService(classes={name: class_body(name, [draw(1)[1]]) for name in names})


def connected(service: FakeService) -> Client:
    return Client("http://plant.example", transport=service.transport, sleep=lambda seconds: None)


def do(service: FakeService, folder: Path, out: Path, *, restart: bool = False, **asked: Any) -> list[FileOutcome]:
    """One start of a job on a folder, as the command does it."""
    with connected(service) as client:
        question = Asked.of(client, **asked)
        with FolderJob(client, find_images(folder), out, question, restart=restart) as job:
            try:
                return list(job.run([path for path in job.paths if not job.is_done(path)], 2))
            finally:
                job.write_results()


def totals(service: FakeService, folder: Path, out: Path) -> Totals:
    """Of a job that has been done."""
    with connected(service) as client, FolderJob(client, find_images(folder), out, Asked.of(client)) as job:
        return job.write_results()


def sent(service: FakeService) -> int:
    """Segmentations that were asked for."""
    return sum(request.url.path == "/segment" for request in service.requests)


def dying_after(service: FakeService, n: int) -> None:
    """Lets a service go away after some segmentations."""
    answer = service.answer

    def answer_or_die(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/segment" and sent(service) >= n:
            raise httpx.ConnectError("connection refused")
        return answer(request)

    service.answer = answer_or_die  # type: ignore[method-assign]

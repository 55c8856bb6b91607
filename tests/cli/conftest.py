"""Commands run in this process, against a service in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from client.fake_service import FakeService
from lerenet.cli.main import app
from lerenet.imaging import Image, Mask, encode_bilevel_png, encode_image_png


class Run(Protocol):
    """Runs `lerenet` with words of a command line."""

    def __call__(self, *words: object, answer: str | None = None) -> Result: ...


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def run(service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LERENET_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words: object, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], obj=service.transport, input=answer)

    return invoke


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A class folder: three plates with a bright bar each, their masks, and one defect-free plate."""
    folder = tmp_path / "bars"
    for name in ("images", "masks", "normal"):
        (folder / name).mkdir(parents=True)
    for index in range(3):
        plate, mask = draw_bar(index)
        (folder / "images" / f"{index}.png").write_bytes(encode_image_png(plate))
        (folder / "masks" / f"{index}.png").write_bytes(encode_bilevel_png(mask))
    (folder / "normal" / "clean.png").write_bytes(encode_image_png(np.full((20, 30), 90, np.uint8)))
    return folder


def draw_bar(index: int) -> tuple[Image, Mask]:
    """(20, 30) plates; the bar has 10 * (index + 1) pixels."""
    mask: Mask = np.zeros((20, 30), np.uint8)
    mask[3 : 4 + index, 10:20] = 1
    plate: Image = np.where(mask == 1, 240, 90).astype(np.uint8)
    return plate, mask

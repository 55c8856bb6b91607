"""What every peer serves: one class on one frame, by LERENet's own decoding, network and masks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lerenet.imaging import ImageLimits, decode_image, encode_coco_rle
from lerenet.inference.confidence import Confidence
from lerenet.inference.regions import MaskRule, read_map
from lerenet.inference.segmenter import SegmentationJob
from lerenet.runtime.engine import build_engine
from lerenet.runtime.host_memory import keep_freed_memory
from lerenet.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.imaging import Image

FOLDER = "LERENET_BENCH_FOLDER"
"""Environment variable: folder with `weights.safetensors`, `class.prototypes`, `rule.json`."""

MAX_BATCH = 16
WAIT_S = 0.005
"""How long the peers' batching waits for company, in seconds."""


class FrameModel:
    """The network on the device of `LERENET_DEVICE`, with one class."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or Path(os.environ[FOLDER])
        keep_freed_memory()
        self._segmenter = build_engine(load_settings(weights=folder / "weights.safetensors")).segmenter
        self._class = self._segmenter.load((folder / "class.prototypes").read_bytes())
        rule = json.loads((folder / "rule.json").read_text(encoding="utf-8"))
        self._rule = MaskRule(**rule | {"confidence": Confidence(*rule["confidence"])})

    @staticmethod
    def decode(body: bytes) -> Image:
        """Pixels of an image file."""
        return decode_image(body, ImageLimits())

    def segment(self, images: Sequence[Image]) -> list[Any]:
        """Probability maps of a batch."""
        jobs = [SegmentationJob(image, (self._class,)) for image in images]
        return [maps[0] for maps in self._segmenter.run(self._segmenter.prepare(jobs))]

    def answer(self, q: Any) -> dict[str, Any]:
        """What the client gets: regions and mask of one frame."""
        found = read_map(q, self._rule)
        regions = [{"bbox": r.bbox, "area_px": r.area_px, "score": r.score} for r in found.regions]
        return {"score": found.score, "regions": regions, "mask": encode_coco_rle(found.mask)}

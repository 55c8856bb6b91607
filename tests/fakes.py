"""Segmenters that need no network: one behaviour each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lerenet.imaging import Image, Shot
from lerenet.inference.assessment import Assessment
from lerenet.inference.encodings import ClassEncoding, dump_encoding, load_encoding
from lerenet.inference.segmenter import SegmentationJob
from lerenet.network import SupportEncoding
from lerenet.runtime.engine import Engine
from lerenet.settings import Settings

Map = NDArray[np.uint8]


class LevelSegmenter:
    """Finds the grey level that lies under a class's masks: probability 1 there, falling to 0 over 64 levels."""

    def __init__(self) -> None:
        self.n_encoded = 0
        self.n_segmented = 0

    def encode_unfitted(self, shots: Sequence[Shot]) -> ClassEncoding:
        self.n_encoded += 1
        marked = np.concatenate([_grey(shot.image)[shot.mask == 1] for shot in shots])
        return ClassEncoding(1.0, SupportEncoding({"level": torch.tensor([float(np.median(marked))])}))

    def encode_in_steps(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> Iterator[ClassEncoding | None]:
        yield None
        yield self.encode_unfitted(shots)

    def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        return Assessment(0.6, 0.75) if len(shots) > 1 else Assessment()

    def prepare(self, jobs: Sequence[SegmentationJob]) -> list[SegmentationJob]:
        return list(jobs)

    def run(self, jobs: Sequence[SegmentationJob]) -> list[list[Map]]:
        self.n_segmented += len(jobs)
        return [[self._map(job.image, each) for each in job.classes] for job in jobs]

    def weigh(self, job: SegmentationJob) -> int:
        return int(job.image.shape[0] * job.image.shape[1])

    def dump(self, encoding: ClassEncoding) -> bytes:
        return dump_encoding(encoding)

    def free_memory(self) -> None:
        pass

    def load(self, data: bytes) -> ClassEncoding:
        return load_encoding(data)

    def _map(self, image: Image, encoding: ClassEncoding) -> Map:
        level = encoding.encoding.tensors["level"].item()
        q: Map = np.clip(255 - 4 * np.abs(_grey(image).astype(float) - level), 0, 255).astype(np.uint8)
        return q


class GatedSegmenter(LevelSegmenter):
    """Segments only while its gate is open; `entered` tells that a batch waits at it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def run(self, jobs: Sequence[SegmentationJob]) -> list[list[Map]]:
        if not self.gate.is_set():
            self.entered.set()
        if not self.gate.wait(30):
            raise TimeoutError("nobody opened the gate")
        return super().run(jobs)


class FailingSegmenter(LevelSegmenter):
    """Raises what `error` holds, if anything, on each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None

    def run(self, jobs: Sequence[SegmentationJob]) -> list[list[Map]]:
        if self.error is not None:
            raise self.error
        return super().run(jobs)


def engine_with(segmenter: LevelSegmenter, weights_digest: str = "0" * 64) -> Callable[[Settings], Engine]:
    """What `create_app` takes as `build`."""
    return lambda settings: Engine(segmenter, weights_digest)


def _grey(image: Image) -> Image:
    return image if image.ndim == 2 else image[..., 0]

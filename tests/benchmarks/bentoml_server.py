"""BentoML: a service of batches, and one in front of it that decodes and encodes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.core import MAX_BATCH, FrameModel


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 256})
class Network:
    def __init__(self) -> None:
        self.model = FrameModel()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=60_000)
    def segment(self, bodies: list[bytes]) -> list[dict[str, Any]]:
        maps = self.model.segment([self.model.decode(body) for body in bodies])
        return [self.model.answer(q) for q in maps]


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 256})
class Segmentation:
    network = bentoml.depends(Network)

    @bentoml.api(route="/segment")
    async def segment(self, images: Path) -> dict[str, Any]:
        body = await asyncio.to_thread(images.read_bytes)
        [answer] = await self.network.to_async.segment([body])
        return answer

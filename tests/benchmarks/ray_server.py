"""Ray Serve: one replica, its batches by `serve.batch`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.core import MAX_BATCH, WAIT_S, FrameModel


@serve.deployment(num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 1})
class Segmentation:
    def __init__(self) -> None:
        self.model = FrameModel()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_S)
    async def segment(self, images: list[Any]) -> list[Any]:
        return await asyncio.to_thread(self.model.segment, images)

    async def __call__(self, request: Request) -> dict[str, Any]:
        file = (await request.form())["images"]
        image = self.model.decode(await file.read())
        return self.model.answer(await self.segment(image))


if __name__ == "__main__":
    # workers see this folder and what the environment says
    paths = {name: os.environ[name] for name in os.environ if name.startswith("LERENET_")}
    here = os.environ["PYTHONPATH"]
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": paths | {"PYTHONPATH": here}})
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Segmentation.bind(), route_prefix="/segment", name="segment")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()

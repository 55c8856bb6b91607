"""Loading: engine, device queue and registry, put together and tried once before anybody is let in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from lerenet.errors import LERENetError, RegistryError
from lerenet.imaging import Image, Shot
from lerenet.inference.assessment import Assessment
from lerenet.inference.encodings import ClassEncoding
from lerenet.inference.recipe import recipe_digest
from lerenet.inference.segmenter import SegmentationJob
from lerenet.observability import Metrics
from lerenet.runtime.device_maps import DeviceMaps, Resolved
from lerenet.runtime.device_queue import DeviceQueue
from lerenet.runtime.engine import Engine
from lerenet.runtime.findings import SegmentationQuery
from lerenet.runtime.pools import run_on_passing_thread
from lerenet.settings import Settings
from lerenet.support import Limits, PrototypeCache, SupportRegistry
from lerenet.support.backing import Backing, open_database, open_folder

WARM_UP_SIDE_PX = 200
WARM_UP_SHOT_PX = 48

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Loaded:
    """All that exists once the weights are on the device.

    Attributes:
        engine: What runs on the device.
        queue: The way to it.
        cache: Prototypes in memory and on disk.
        registry: Support classes.
        max_map_pixels: Of the maps of one job.
    """

    engine: Engine
    queue: DeviceQueue
    cache: PrototypeCache[ClassEncoding]
    registry: SupportRegistry[ClassEncoding]
    max_map_pixels: int

    def map(
        self, images: Sequence[Image], resolved: Sequence[Resolved], query: SegmentationQuery, deadline: float
    ) -> DeviceMaps:
        """Has the maps of images made; arguments and errors as of `DeviceMaps`."""
        return DeviceMaps(self.queue, images, resolved, query, deadline=deadline, max_map_pixels=self.max_map_pixels)

    async def warm_classes(self) -> None:
        """Makes what is missing for these weights, while requests are answered already."""
        try:
            n_classes = await self.registry.warm()
        except LERENetError as error:  # the class that failed answers its own callers
            _log.warning("not every class is prepared for these weights", reason=error.detail)
        else:
            _log.info("classes are prepared", classes=n_classes)

    async def gauges(self) -> dict[str, float]:
        """Values for the metrics, by name."""
        gauges: dict[str, float] = {
            "queue_depth": self.queue.depth,
            "queue_drain_seconds": self.queue.retry_after_s,
            "map_pixels": self.queue.map_pixels,
            "prototype_bytes": self.cache.counts.held_bytes,
            "prototype_host_bytes": self.cache.counts.host_bytes,
        }
        with contextlib.suppress(RegistryError):  # an outage of the registry must not blind whoever watches it
            gauges["classes"] = await self.registry.count()
        times = {
            "last_batch_timestamp_seconds": self.queue.last_batch_time,
            "last_work_timestamp_seconds": self.queue.last_work_time,
        }
        return gauges | {name: value for name, value in times.items() if value is not None}

    def counters(self) -> dict[str, float]:
        """Values for the metrics that only grow, by name."""
        counts = self.cache.counts
        return {
            "prototype_cache_hits": counts.hits,
            "prototype_cache_device_hits": counts.device_hits,
            "prototype_cache_host_hits": counts.host_hits,
            "prototype_cache_disk_hits": counts.disk_hits,
            "prototype_cache_shared_hits": counts.shared_hits,
            "prototype_cache_misses": counts.misses,
            "prototype_cache_evictions": counts.evictions,
        }

    async def close(self, drain_s: float) -> None:
        """Ends the device thread after what it has, then closes the registry."""
        await asyncio.to_thread(self.queue.close, drain_s)
        await self.registry.close()


async def load(
    settings: Settings,
    metrics: Metrics,
    build: Callable[[Settings], Engine],
    on_death: Callable[[BaseException], None],
) -> Loaded:
    """Loads everything, and has the device do one small job.

    Raises:
        WeightsError: The weights cannot be used.
        ConfigurationError: A setting cannot work here.
        RegistryError: The data folder or the database cannot be used.
    """
    engine = await run_on_passing_thread(lambda: build(settings))
    # on the CPU the device's memory is the host's: a second copy in it would serve nobody
    host_budget_bytes = 0 if engine.device.startswith("cpu") else settings.prototype_host_bytes
    backing = await asyncio.to_thread(_backing, settings)
    _log.info("classes are kept here", place=backing.place)  # a fleet in which one has a folder is a mistake
    cache = PrototypeCache(
        settings.data_dir / "prototypes",
        _made_by(engine),
        dump=engine.segmenter.dump,
        load=engine.segmenter.load,
        budget_bytes=settings.prototype_cache_bytes,
        host_budget_bytes=host_budget_bytes,
        shared=None if backing.share is None else backing.share(_made_by(engine)),
    )
    queue = DeviceQueue(engine, settings, metrics, on_death)
    registry = _registry(backing, cache, engine, queue, settings)
    loaded = Loaded(engine, queue, cache, registry, settings.max_map_pixels)
    try:
        await _try_device(engine, queue)
    except BaseException:
        await loaded.close(0.0)
        raise
    return loaded


def _backing(settings: Settings) -> Backing:
    if settings.database_url is None:
        return open_folder(settings.data_dir, may_fall_back=True)
    return open_database(settings.database_url.get_secret_value(), stale_s=settings.database_stale_s)


def _registry(
    backing: Backing,
    cache: PrototypeCache[ClassEncoding],
    engine: Engine,
    queue: DeviceQueue,
    settings: Settings,
) -> SupportRegistry[ClassEncoding]:
    async def encode(shots: Sequence[Shot], normals: Sequence[Image]) -> ClassEncoding:
        steps = engine.segmenter.encode_in_steps(shots, normals)
        encoding: ClassEncoding | None = None
        while encoding is None:  # frames that come meanwhile have their turn
            encoding = await queue.call(lambda: next(steps))
        return encoding

    async def assess(shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        return await queue.call(lambda: engine.segmenter.assess(shots, normals, encoding))

    limits = Limits(settings.max_shots, settings.max_normals, settings.max_classes)
    return SupportRegistry(
        backing.store,
        cache,
        encode=encode,
        assess=assess,
        weights_digest=_made_by(engine),
        limits=limits,
        listeners=backing.listeners,
        ownership=backing.owners,
    )


def _made_by(engine: Engine) -> str:
    """Names all that decides an encoding and its assessment: weights, precision and code."""
    return f"{engine.encoding_digest}-{recipe_digest()}"


async def _try_device(engine: Engine, queue: DeviceQueue) -> None:
    """Encodes a class and segments an image, so that the first request finds everything allocated and chosen."""
    image = np.random.default_rng(0).integers(0, 256, (WARM_UP_SIDE_PX, WARM_UP_SIDE_PX), np.uint8)
    corner = np.s_[:WARM_UP_SHOT_PX, :WARM_UP_SHOT_PX]
    mask = np.zeros_like(image)
    mask[10:30, 10:30] = 1
    encoding = await queue.call(lambda: engine.segmenter.encode_unfitted([Shot(image[corner], mask[corner])]))
    prepared = engine.segmenter.prepare([SegmentationJob(image, (encoding,))])
    await queue.call(lambda: engine.segmenter.run(prepared))

"""The running service without HTTP: it loads in the background, admits work, and drains when it stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal, Self

import structlog

from lerenet import __version__
from lerenet.errors import DeviceFailed, Draining, LERENetError, Loading
from lerenet.inference.encodings import ClassEncoding
from lerenet.observability import Metrics, ServiceState
from lerenet.runtime.admission import LOADING_RETRY_S, Admission, Budget, Tallies, Work
from lerenet.runtime.cpus import available_cpus
from lerenet.runtime.engine import Engine, build_engine, device_memory_bytes
from lerenet.runtime.findings import SegmentationQuery
from lerenet.runtime.loading import Loaded, load
from lerenet.runtime.pools import MAX_CODEC_THREADS, ThreadPool
from lerenet.runtime.segmentation import Render, Rendered, Segmentation, SegmentedFrame
from lerenet.runtime.uploads import SupportFiles, read_support
from lerenet.settings import Settings
from lerenet.support import NormalUpload, ShotUpload, SupportRegistry

WATCH_S = 0.25
"""Between two looks at the device, in seconds."""

_log = structlog.get_logger(__name__)


class Runtime:
    """Everything behind the HTTP face. An async context manager: entering starts to load, leaving drains.

    Args:
        settings: What the operator decided.
        metrics: Told of batches; shows the state on demand.
        build: Makes the engine, off the event loop.
        on_loss: Called once, on the event loop, when only a restart helps: the device is lost, or loading failed.
        tallies: Where what is let in is counted; None: in this process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        build: Callable[[Settings], Engine] = build_engine,
        on_loss: Callable[[], None] = lambda: None,
        tallies: Tallies | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self._build = build
        self._on_loss = on_loss
        self._loaded: Loaded | None = None
        self._failure: LERENetError | None = None
        self._is_leaving = False
        self._is_draining = False
        self._settled = asyncio.Event()
        self._admission = Admission(settings, self.retry_after_s, tallies or Tallies())
        n_threads = settings.codec_threads or min(settings.threads or available_cpus(), MAX_CODEC_THREADS)
        self._decoders = ThreadPool("decode", n_threads)
        self._encoders = ThreadPool("encode", n_threads)
        self._background: list[asyncio.Task[None]] = []

    # -- life

    async def __aenter__(self) -> Self:
        self._background = [asyncio.create_task(self._load()), asyncio.create_task(self._watch_device())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_draining = True
        until = time.monotonic() + self.settings.drain_s
        await self._admission.in_progress.wait_until_done(self.settings.drain_s)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._loaded is not None:
            await self._loaded.close(max(0.0, until - time.monotonic()) if self._failure is None else 0.0)
        self._decoders.close()
        self._encoders.close()

    async def _load(self) -> None:
        try:
            self._loaded = await load(self.settings, self.metrics, self._build, self._told_of_death())
        except Exception as error:
            _log.exception("loading failed")
            self._fail(error if isinstance(error, LERENetError) else DeviceFailed(f"loading failed: {error}"))
            return
        self._settled.set()
        _log.info("ready", device=self._loaded.engine.device, weights=self.weights_digest)
        await self._loaded.warm_classes()

    async def _watch_device(self) -> None:
        """Gives up a device that is silent for too long: a thread that hangs cannot say so itself."""
        while self._failure is None:
            await asyncio.sleep(min(WATCH_S, self.settings.longest_silence_s / 2))
            queue = None if self._loaded is None else self._loaded.queue
            if queue is not None and queue.stalled and self._failure is None:
                silence = DeviceFailed(
                    f"the device gave no sign of life for more than {self.settings.longest_silence_s:g} s"
                )
                _log.error("the device hangs", reason=silence.detail)
                self._fail(silence)
                queue.abandon(silence)

    def _told_of_death(self) -> Callable[[BaseException], None]:
        loop = asyncio.get_running_loop()

        def on_death(error: BaseException) -> None:  # on the device thread
            _log.error("the device is lost", exc_info=error)
            loop.call_soon_threadsafe(self._fail, DeviceFailed(f"{type(error).__name__}: {error}"))

        return on_death

    def announce_end(self) -> None:
        """The service stops soon: readiness says so to balancers, while requests are still answered."""
        self._is_leaving = True

    def _fail(self, failure: LERENetError) -> None:
        if self._failure is None:
            self._failure = failure
            self._settled.set()
            self._on_loss()

    # -- state

    @property
    def phase(self) -> Literal["loading", "ready", "leaving", "draining", "failed"]:
        """Where the service is in its life."""
        if self._failure is not None:
            return "failed"
        if self._is_draining:
            return "draining"
        if self._loaded is None:
            return "loading"
        return "leaving" if self._is_leaving else "ready"

    async def wait_until_settled(self) -> None:
        """Waits until everything is loaded, or will never be."""
        await self._settled.wait()

    def require_staying(self) -> None:
        """Refuse whoever asks for the time to come; raises Draining once the end is announced."""
        if self._is_leaving or self._is_draining:
            raise self._stopping()

    def require_ready(self) -> Loaded:
        """What was loaded.

        Raises:
            Loading: It is not there yet.
            Draining: The service is stopping.
            LERENetError: Why it cannot work until it is restarted.
        """
        if self._failure is not None:
            raise self._failure
        if self._is_draining:
            raise self._stopping()
        if self._loaded is None:
            raise Loading("the weights are still being loaded: ask again shortly", retry_after_s=LOADING_RETRY_S)
        if self._loaded.queue.stalled:
            raise DeviceFailed("the device gives no sign of life; only a restart helps")
        return self._loaded

    @property
    def is_live(self) -> bool:
        """Whether a restart would not help."""
        if self._failure is not None:
            return False
        return self._loaded is None or (self._loaded.queue.alive and not self._loaded.queue.stalled)

    @property
    def weights_digest(self) -> str | None:
        """Sha256 of the weights in use, in hex; None until they are loaded."""
        return None if self._loaded is None else self._loaded.engine.weights_digest

    @property
    def registry(self) -> SupportRegistry[ClassEncoding]:
        """The support classes; raises as `require_ready` does."""
        return self.require_ready().registry

    def describe(self) -> dict[str, str | None]:
        """What is running, for `/version`."""
        described: dict[str, str | None] = {"version": __version__, "weights": self.weights_digest}
        if self._loaded is None:
            return described
        engine = self._loaded.engine
        return described | {"device": engine.device, "precision": engine.precision} | engine.facts

    async def refresh_metrics(self) -> None:
        """Brings the metrics' state up to date."""
        gauges = {"ready": float(self.phase == "ready"), "live": float(self.is_live)}
        gauges |= self._admission.gauges()
        counters: dict[str, float] = {}
        if self._loaded is not None and self.phase != "draining":
            gauges |= await self._loaded.gauges()
            counters = self._loaded.counters()
        build = {name: value for name, value in self.describe().items() if value is not None}
        self.metrics.state = ServiceState(build, gauges, counters, device_memory_bytes())

    # -- work

    @property
    def bodies(self) -> Budget:
        """Bytes of request bodies in memory, for whoever reads them."""
        return self._admission.bodies

    @asynccontextmanager
    async def work(self, deadline_s: float) -> AsyncIterator[Work]:
        """Admits a request, before its body is read, and cuts it off at its deadline, slow uploads included.

        Raises:
            DeadlineExceeded: It took longer than `deadline_s`.
            Loading, Draining, DeviceFailed: Nothing is admitted now.
        """
        self.require_ready()
        async with self._admission.work(deadline_s) as work:
            yield work

    async def catch_up(self, revision: int) -> None:
        """Waits until the registry is seen as it is at a revision, or later.

        Raises:
            RegistryBehind: It is not within two seconds.
            Loading, Draining, DeviceFailed: Nothing is admitted now.
        """
        registry = self.registry
        with self._admission.in_progress.one_more():
            await registry.at_least(revision)

    def check_room(self, deadline: float) -> None:
        """Refuses images that the device will not come to before a deadline, a monotonic time in seconds.

        Raises:
            QueueFull: No room, or no time.
            Loading, Draining, DeviceFailed: Nothing is admitted now.
        """
        self.require_ready().queue.check_room(deadline)

    async def read_support(self, work: Work, files: SupportFiles) -> tuple[list[ShotUpload], list[NormalUpload]]:
        """Decodes the files of a registration; raises as `uploads.read_support` does."""
        return await read_support(files, work.limits, self._decoders)

    async def segment(
        self, work: Work, files: Sequence[bytes], query: SegmentationQuery, render: Render[Rendered]
    ) -> list[SegmentedFrame[Rendered]]:
        """Segments images, all or none.

        Args:
            work: The request.
            files: Image files.
            query: Classes and parameters.
            render: Makes the answer of a finding; called on the encoding threads, one image's findings in order.

        Raises:
            UnknownClass: A class that nobody registered.
            NoSupportClasses: None were named, and none are registered.
            RequestError: An image cannot be read.
            Unavailable: No room, no time, or not ready.
            DeviceFailed: The device is lost.
        """
        loaded = self.require_ready()
        resolved = await loaded.registry.resolve(query.references)
        pipeline = Segmentation(query, decoders=self._decoders, encoders=self._encoders)
        images = await pipeline.decode(files, work.limits)
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        coming = loaded.map(images, resolved, query, work.deadline)
        return await pipeline.render(sizes, coming, render)

    def _stopping(self) -> Draining:
        detail = "the service is stopping: ask again after its restart"
        return Draining(detail, retry_after_s=self.settings.drain_s)

    def retry_after_s(self) -> float:
        """Forecast of when to come again, in seconds."""
        return LOADING_RETRY_S if self._loaded is None else self._loaded.queue.retry_after_s

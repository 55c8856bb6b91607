"""A runtime whose device, queue and registry are in the core: what an edge's routes and layers work with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from typing import Any

from lerenet.access import KeyRecord, KeyRing, Standing
from lerenet.edge.core_link import CoreLink
from lerenet.edge.messages import CatchUp, Count, Find, Observed
from lerenet.edge.remote_maps import RemoteMaps
from lerenet.errors import LERENetError, Loading
from lerenet.observability import current_request_id
from lerenet.runtime.admission import LOADING_RETRY_S, Admission, Budget, Tallies, Work
from lerenet.runtime.cpus import available_cpus
from lerenet.runtime.findings import SegmentationQuery
from lerenet.runtime.pools import MAX_CODEC_THREADS, ThreadPool
from lerenet.runtime.segmentation import Render, Rendered, Segmentation, SegmentedFrame
from lerenet.settings import Settings
from lerenet.support import saw_revision

REPORT_S = 0.25
"""Between two reports of what was answered, in seconds."""


class RemoteMetrics:
    """Collects what an edge has answered, for the core's metrics; see `runtime.front.RequestMetrics`.

    Args:
        core: Whom to tell.
    """

    def __init__(self, core: CoreLink) -> None:
        self._core = core
        self._requests: list[Mapping[str, Any]] = []
        self._problems: list[str] = []
        self._is_due = False

    def observe_request(
        self, *, method: str, route: str, status: int, seconds: float, stages: Mapping[str, float]
    ) -> None:
        """Counts an answered request."""
        self._requests.append(
            {"method": method, "route": route, "status": status, "seconds": seconds, "stages": stages}
        )
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(REPORT_S, self.report)

    def count_problem(self, code: str) -> None:
        """Counts a refusal or failure."""
        self._problems.append(code)

    def report(self) -> None:
        """Tells the core now; not while it is silent: what it does not read would fill this process."""
        self._is_due = False
        if (self._requests or self._problems) and not self._core.is_silent:
            self._core.link.send(Observed(self._requests, self._problems))
        self._requests, self._problems = [], []


class RemoteKeyRing(KeyRing):
    """Keys in force, whose rates the core counts for all edges together.

    Args:
        settings: Name the key file.
        core: Counts.

    Raises:
        ConfigurationError: There is no key file, or it is damaged.
    """

    def __init__(self, settings: Settings, core: CoreLink) -> None:
        assert settings.api_keys_file is not None
        super().__init__(settings.api_keys_file)
        self._core = core

    async def count(self, key: KeyRecord) -> Standing | None:
        """Counts a request against the key's rate; a key without one costs no question.

        Raises:
            Draining, Unavailable: The core is gone, or silent.
        """
        if key.requests_per_minute is None:
            return None
        return (await self._core.ask(lambda number: Count(number, key))).value


class RemoteRuntime:
    """See `runtime.front.RuntimeFront`.

    Args:
        settings: What the operator decided.
        core: Has the device.
        tallies: Where what is let in is counted.
    """

    def __init__(self, settings: Settings, core: CoreLink, tallies: Tallies) -> None:
        self.settings = settings
        self.metrics = RemoteMetrics(core)
        self._core = core
        self._admission = Admission(settings, self._retry_after_s, tallies)
        n_threads = settings.codec_threads or max(
            1, min(available_cpus() // max(1, settings.http_processes), MAX_CODEC_THREADS)
        )
        self._decoders = ThreadPool("decode", n_threads)
        self._encoders = ThreadPool("encode", n_threads)

    @property
    def bodies(self) -> Budget:
        """Bytes of request bodies in memory."""
        return self._admission.bodies

    @property
    def weights_digest(self) -> str | None:
        """Sha256 of the weights in use, in hex; None until they are loaded."""
        return None if self._core.state is None else self._core.state.weights_digest

    @property
    def is_live(self) -> bool:
        """Whether a restart would not help, as far as the core has said so lately."""
        return not self._core.is_silent and (self._core.state is None or self._core.state.is_live)

    def require_ready(self) -> object:
        """The core's last word; raises what it refuses every request with, or that it is not heard."""
        self._core.require_voice()
        state = self._core.state
        if state is None:
            raise Loading("the service is starting: ask again shortly", retry_after_s=LOADING_RETRY_S)
        if state.refusal is not None:
            raise _again(state.refusal)
        return state

    def check_room(self, deadline: float) -> None:
        """Refuses as the core did when it last looked; whoever is let in may still be refused there."""
        self.require_ready()
        state = self._core.state
        if state is not None and state.crowd is not None:
            raise _again(state.crowd)

    async def catch_up(self, revision: int) -> None:
        """Waits until the registry is seen as it is at a revision; costs nothing where the core is known to have it.

        Raises:
            RegistryBehind: It is not within two seconds.
            Loading, Draining, DeviceFailed: Nothing is admitted now.
        """
        self.require_ready()
        if self._core.state is None or self._core.state.registry_revision < revision:
            with self._admission.in_progress.one_more():
                await self._core.ask(lambda number: CatchUp(number, revision))

    @asynccontextmanager
    async def work(self, deadline_s: float) -> AsyncIterator[Work]:
        """Admits a request, and cuts it off at its deadline; raises as `Runtime.work` does."""
        self.require_ready()
        async with self._admission.work(deadline_s) as work:
            yield work

    async def segment(
        self, work: Work, files: Sequence[bytes], query: SegmentationQuery, render: Render[Rendered]
    ) -> list[SegmentedFrame[Rendered]]:
        """Segments images, all or none; raises as `Runtime.segment` does."""
        self.require_ready()
        pipeline = Segmentation(query, decoders=self._decoders, encoders=self._encoders)
        try:
            images = await pipeline.decode(files, work.limits)
        except LERENetError:
            await self._require_classes(query, work.deadline)  # whoever names none that is there hears of that first
            raise
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        coming = RemoteMaps(self._core, query, images, work.deadline)
        del images  # the core has them
        return await pipeline.render(sizes, coming, render)

    def close(self) -> None:
        """Ends the threads, and tells the core what has not been told."""
        self._decoders.close()
        self._encoders.close()
        self.metrics.report()

    async def _require_classes(self, query: SegmentationQuery, deadline: float) -> None:
        request_id = current_request_id()
        answer = await self._core.ask(lambda number: Find(number, request_id, query, (), deadline))
        saw_revision(answer.revision)

    def _retry_after_s(self) -> float:
        return LOADING_RETRY_S if self._core.state is None else self._core.state.retry_after_s


def _again(error: LERENetError) -> LERENetError:
    """An error to raise that has been raised before: one object would collect the tracebacks of all."""
    return copy(error)

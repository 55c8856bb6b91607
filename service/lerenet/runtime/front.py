"""What answering frames asks of a runtime, whether the device is in this process or in another. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from lerenet.runtime.admission import Budget, Work
from lerenet.runtime.findings import SegmentationQuery
from lerenet.runtime.segmentation import Render, Rendered, SegmentedFrame
from lerenet.settings import Settings


class RequestMetrics(Protocol):
    """Counts requests; see `observability.Metrics`."""

    def observe_request(
        self, *, method: str, route: str, status: int, seconds: float, stages: Mapping[str, float]
    ) -> None:
        """Counts an answered request."""

    def count_problem(self, code: str) -> None:
        """Counts a refusal or failure by its stable code."""


class RuntimeFront(Protocol):
    """The side of a runtime that requests for masks see; `runtime.Runtime` says what each of these does."""

    @property
    def settings(self) -> Settings:
        """What the operator decided."""

    @property
    def metrics(self) -> RequestMetrics:
        """Told of requests."""

    @property
    def bodies(self) -> Budget:
        """Bytes of request bodies in memory."""

    @property
    def weights_digest(self) -> str | None:
        """Sha256 of the weights in use, in hex; None until they are loaded."""

    @property
    def is_live(self) -> bool:
        """Whether a restart would not help."""

    def require_ready(self) -> object:
        """Raises Loading, Draining or why it cannot work until it is restarted."""

    def check_room(self, deadline: float) -> None:
        """Refuses images that the device will not come to before a deadline, a monotonic time in seconds."""

    async def catch_up(self, revision: int) -> None:
        """Waits until the registry is seen as it is at a revision, or later."""

    def work(self, deadline_s: float) -> AbstractAsyncContextManager[Work]:
        """Admits a request, and cuts it off at its deadline."""

    async def segment(
        self, work: Work, files: Sequence[bytes], query: SegmentationQuery, render: Render[Rendered]
    ) -> list[SegmentedFrame[Rendered]]:
        """Segments images, all or none."""

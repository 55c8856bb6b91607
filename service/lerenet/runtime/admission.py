"""How much may be in the house at once: bodies, decoded pixels, and requests that must be answered before it closes."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lerenet.errors import LimitExceeded, QueueFull
from lerenet.imaging import ImageLimits

if TYPE_CHECKING:
    from lerenet.settings import Settings


class Budget:
    """An amount of something that may be in memory at once, over all requests. Safe to use from several threads.

    Args:
        limit: Held at once; also the most that one request may hold.
        what: What is counted, such as `pixels of images`.
        retry_after_s: Asked when there is no room: forecast of when to come again, in seconds.
    """

    def __init__(self, limit: int, what: str, retry_after_s: Callable[[], float]) -> None:
        self.limit = limit
        self.what = what
        self._retry_after_s = retry_after_s
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """What is in memory now."""
        return self._held

    @contextmanager
    def share(self) -> Iterator[Share]:
        """One request's share, given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.close()

    def take(self, amount: int) -> None:
        """Reserves room.

        Raises:
            QueueFull: Others hold too much of it.
        """
        with self._lock:
            if self._held + amount > self.limit:
                detail = (
                    f"{self._held} {self.what} are being worked on, and {amount} more would pass the limit of"
                    f" {self.limit}: ask again later, or send less"
                )
                raise QueueFull(detail, retry_after_s=self._retry_after_s())
            self._held += amount

    def give_back(self, amount: int) -> None:
        """Frees room that `take` reserved."""
        with self._lock:
            self._held -= amount


class Share:
    """What one request has reserved of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._amount = 0
        self._is_open = True
        self._lock = threading.Lock()

    def take(self, amount: int) -> None:
        """Reserves room for more of the request.

        Raises:
            LimitExceeded: The request alone passes the budget.
            QueueFull: There is no room now.
        """
        with self._lock:
            if not self._is_open:  # the request has ended while a thread was still decoding for it
                return
            if self._amount + amount > self._budget.limit:
                detail = f"more than {self._budget.limit} {self._budget.what} in one request: send several requests"
                raise LimitExceeded(detail, pointer="/images")
            self._budget.take(amount)
            self._amount += amount

    def close(self) -> None:
        """Gives everything back."""
        with self._lock:
            self._is_open = False
            self._budget.give_back(self._amount)
            self._amount = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldImageLimits(ImageLimits):
    """Limits of an image that also reserve its room, once its header is read and before its pixels are.

    Attributes:
        share: Of the request, in pixels.
    """

    share: Share

    def check(self, height: int, width: int, *, pointer: str | None = None) -> None:
        """Refuses a size over the limits, and reserves room for it otherwise.

        Raises:
            ImageTooLarge: Too many pixels, or too long a side.
            LimitExceeded: Too many pixels in the request.
            QueueFull: No room now.
        """
        ImageLimits.check(self, height, width, pointer=pointer)
        self.share.take(height * width)


class RequestsInProgress:
    """Counts requests, so that closing can wait for them. Belongs to one event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._none_left = asyncio.Event()
        self._none_left.set()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Counts a request while it is worked on."""
        self.count += 1
        self._none_left.clear()
        try:
            yield
        finally:
            self.count -= 1
            if self.count == 0:
                self._none_left.set()

    async def wait_until_done(self, timeout_s: float) -> bool:
        """Waits for the last one; whether it came to an end in time."""
        try:
            await asyncio.wait_for(self._none_left.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True)
class Work:
    """One admitted request.

    Attributes:
        limits: For its images; they reserve memory until the request ends.
        deadline: Monotonic time, in seconds, at which it is cut off.
    """

    limits: ImageLimits
    deadline: float


def admission_gauges(
    settings: Settings, bodies: Budget, pixels: Budget, in_progress: RequestsInProgress
) -> dict[str, float]:
    """Values for the metrics, by name: how much is let in, and how much may be."""
    gauges: dict[str, float] = {
        "classes_limit": settings.max_classes,
        "queue_limit": settings.max_queue_images,
        "held_bytes": bodies.held,
        "held_limit_bytes": bodies.limit,
        "held_pixels": pixels.held,
        "held_limit_pixels": pixels.limit,
        "requests_in_progress": in_progress.count,
    }
    with suppress(OSError):  # no such folder yet, or a disk that has gone: others tell of it
        gauges["data_free_bytes"] = shutil.disk_usage(settings.data_dir).free
    return gauges

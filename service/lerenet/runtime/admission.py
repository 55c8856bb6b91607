"""How much may be in the house at once: bodies, decoded pixels, and requests that must be answered before it closes."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lerenet.errors import DeadlineExceeded, LimitExceeded, QueueFull
from lerenet.imaging import ImageLimits

if TYPE_CHECKING:
    from lerenet.settings import Settings

LOADING_RETRY_S = 3.0
"""When to ask again while weights are being loaded, in seconds."""


class Tally(Protocol):
    """How much there is of something, in this process or in several."""

    @property
    def total(self) -> int:
        """In all processes together."""

    def add(self, amount: int) -> None:
        """Counts more in this process; less, where negative. Whoever calls it holds a lock."""


class OwnTally:
    """A tally of one process alone."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, amount: int) -> None:
        """Counts more, or less."""
        self.total += amount


@dataclass(frozen=True)
class Tallies:
    """Where a service counts what is let in; by default in this process.

    Attributes:
        bytes: Of request bodies in memory.
        pixels: Of decoded images in memory.
        requests: Being worked on.
        http_processes: That speak HTTP beside this one.
    """

    bytes: Tally = field(default_factory=OwnTally)
    pixels: Tally = field(default_factory=OwnTally)
    requests: Tally = field(default_factory=OwnTally)
    http_processes: Tally = field(default_factory=OwnTally)


class Budget:
    """An amount of something that may be in memory at once, over all requests. Safe to use from several threads.

    Args:
        limit: Held at once; also the most that one request may hold.
        what: What is counted, such as `pixels of images`.
        retry_after_s: Asked when there is no room: forecast of when to come again, in seconds.
        tally: Holds the amount; None: in this process.
    """

    def __init__(self, limit: int, what: str, retry_after_s: Callable[[], float], tally: Tally | None = None) -> None:
        self.limit = limit
        self.what = what
        self._retry_after_s = retry_after_s
        self._tally = tally or OwnTally()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """What is in memory now."""
        return self._tally.total

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
            # first taken, then looked at: of two processes that look at once, neither may miss the other
            self._tally.add(amount)
            held = self._tally.total
            if held > self.limit:
                self._tally.add(-amount)
                detail = (
                    f"{held - amount} {self.what} are being worked on, and {amount} more would pass the limit of"
                    f" {self.limit}: ask again later, or send less"
                )
                raise QueueFull(detail, retry_after_s=self._retry_after_s())

    def give_back(self, amount: int) -> None:
        """Frees room that `take` reserved."""
        with self._lock:
            self._tally.add(-amount)


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
    """Counts requests, so that closing can wait for those of this process. Belongs to one event loop.

    Args:
        tally: Counts them too; None: in this process.
    """

    def __init__(self, tally: Tally | None = None) -> None:
        self.count = 0
        self.tally = tally or OwnTally()
        self._none_left = asyncio.Event()
        self._none_left.set()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Counts a request while it is worked on."""
        self.count += 1
        self.tally.add(1)
        self._none_left.clear()
        try:
            yield
        finally:
            self.count -= 1
            self.tally.add(-1)
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


class Admission:
    """What is let in, and until when it is worked on. Belongs to one event loop, but for its budgets.

    Args:
        settings: Limits.
        retry_after_s: Forecast of when to come again, in seconds.
        tallies: Where it is counted.

    Attributes:
        bodies: Bytes of request bodies in memory, for whoever reads them.
        in_progress: Requests that must be answered before the end.
    """

    def __init__(self, settings: Settings, retry_after_s: Callable[[], float], tallies: Tallies) -> None:
        self._settings = settings
        self._retry_after_s = retry_after_s
        self._tallies = tallies
        self.bodies = Budget(settings.max_held_bytes, "bytes of requests", retry_after_s, tallies.bytes)
        self._pixels = Budget(settings.max_held_pixels, "pixels of images", retry_after_s, tallies.pixels)
        self.in_progress = RequestsInProgress(tallies.requests)

    @asynccontextmanager
    async def work(self, deadline_s: float) -> AsyncIterator[Work]:
        """Admits a request, and cuts it off at its deadline.

        Raises:
            DeadlineExceeded: It took longer than `deadline_s`.
        """
        settings = self._settings
        with self.in_progress.one_more(), self._pixels.share() as share:
            limits = HeldImageLimits(settings.max_image_pixels, settings.max_image_side_px, share=share)
            try:
                async with asyncio.timeout(deadline_s):
                    yield Work(limits, time.monotonic() + deadline_s)
            except TimeoutError as err:
                detail = (
                    f"not read and answered within {deadline_s:g} s: send fewer or smaller images, or fewer classes"
                )
                raise DeadlineExceeded(detail, retry_after_s=self._retry_after_s()) from err

    def gauges(self) -> dict[str, float]:
        """Values for the metrics, by name: how much is let in, and how much may be."""
        gauges: dict[str, float] = {
            "classes_limit": self._settings.max_classes,
            "queue_limit": self._settings.max_queue_images,
            "held_bytes": self.bodies.held,
            "held_limit_bytes": self.bodies.limit,
            "held_pixels": self._pixels.held,
            "held_limit_pixels": self._pixels.limit,
            "requests_in_progress": self._tallies.requests.total,
            "http_processes": self._tallies.http_processes.total,
        }
        with suppress(OSError):  # no such folder yet, or a disk that has gone: others tell of it
            gauges["data_free_bytes"] = shutil.disk_usage(self._settings.data_dir).free
        return gauges

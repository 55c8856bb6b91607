"""What callers of the batcher hear when their work is not done: the reason, and when to ask again."""

from __future__ import annotations

from lerenet.errors import DeadlineExceeded, DeviceFailed, Draining, QueueFull

UNKNOWN_RETRY_S = 1.0
"""When to ask again before a first batch has been timed, in seconds."""


def line_full(n_waiting: int, n_more: int, retry_after_s: float) -> QueueFull:
    """The line has no room."""
    detail = (
        f"the line in front of the device holds {n_waiting} and has no room for {n_more} more; "
        f"it should have drained in {retry_after_s:.1f} s"
    )
    return QueueFull(detail, retry_after_s=retry_after_s)


def hopeless(n_waiting: int, done_in_s: float, retry_after_s: float) -> QueueFull:
    """By the forecast the work would not be done by its deadline."""
    detail = (
        f"{n_waiting} jobs wait for the device, and this work would be done in about {done_in_s:.1f} s,"
        " past its deadline: ask again later, or send less"
    )
    return QueueFull(detail, retry_after_s=retry_after_s)


def too_late(waited_s: float, retry_after_s: float) -> DeadlineExceeded:
    """Accepted work was dropped because of its deadline."""
    detail = (
        f"the work stood {waited_s:.1f} s in the line and could not be done by its deadline; ask again later,"
        " or send less"
    )
    return DeadlineExceeded(detail, retry_after_s=retry_after_s)


def stopping() -> Draining:
    """New work comes while the service stops."""
    return Draining("the service is stopping and takes no new work; ask again after its restart")


def stopped() -> Draining:
    """Accepted work was not done when the service stopped."""
    return Draining("the service stopped before this work was done; ask again after its restart")


def device_failed(error: BaseException) -> DeviceFailed:
    """The device thread is dead."""
    return DeviceFailed(f"the device thread ended ({type(error).__name__}: {error}); only a restart brings it back")

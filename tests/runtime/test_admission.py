from __future__ import annotations

import asyncio
import contextlib

import pytest

from lerenet.errors import ImageTooLarge, LimitExceeded, QueueFull
from lerenet.runtime.admission import Budget, HeldImageLimits, RequestsInProgress


def budget(limit: int = 100) -> Budget:
    return Budget(limit, "pixels", lambda: 2.5)


def test_a_share_is_given_back_at_the_end() -> None:
    pixels = budget()
    with pixels.share() as share:
        share.take(60)
        share.take(40)
        assert pixels.held == 100
    assert pixels.held == 0


def test_a_share_is_given_back_after_a_failure() -> None:
    pixels = budget()
    with contextlib.suppress(ValueError), pixels.share() as share:
        share.take(60)
        raise ValueError
    assert pixels.held == 0


def test_more_than_all_requests_may_hold_is_refused_with_a_time_to_come_again() -> None:
    pixels = budget()
    with pixels.share() as first, pixels.share() as second:
        first.take(60)
        with pytest.raises(QueueFull, match="60 pixels are being worked on") as refusal:
            second.take(41)
        assert refusal.value.retry_after_s == 2.5
        assert pixels.held == 60


def test_more_than_one_request_may_ever_hold_is_no_matter_of_waiting() -> None:
    with budget().share() as share:
        share.take(60)
        with pytest.raises(LimitExceeded, match="several requests"):
            share.take(41)


def test_a_thread_that_comes_late_holds_nothing() -> None:
    pixels = budget()
    with pixels.share() as share:
        pass
    share.take(10)
    assert pixels.held == 0


def test_image_limits_reserve_only_what_they_accept() -> None:
    pixels = budget()
    with pixels.share() as share:
        limits = HeldImageLimits(max_pixels=50, max_side_px=20, share=share)
        limits.check(5, 10)
        with pytest.raises(ImageTooLarge):
            limits.check(21, 1)
        assert pixels.held == 50


async def test_closing_waits_for_the_last_request() -> None:
    requests = RequestsInProgress()
    with requests.one_more():
        assert not await requests.wait_until_done(0.01)
        waiting = asyncio.create_task(requests.wait_until_done(5))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting

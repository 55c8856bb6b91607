from __future__ import annotations

import asyncio

import pytest
import structlog

from lerenet.observability import accepted_request_id, current_request_id
from lerenet.observability.request_id import request_context


@pytest.mark.parametrize(
    "sent", ["a", "line-3/000417", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x" * 128]
)
def test_a_sane_id_is_kept(sent: str) -> None:
    assert accepted_request_id(sent) == sent


@pytest.mark.parametrize("sent", [None, "", " a", "a b", "a\nb", "x" * 129, "é", "{}", "-a"])
def test_anything_else_is_replaced_by_a_new_one(sent: str | None) -> None:
    first, second = accepted_request_id(sent), accepted_request_id(sent)

    assert len(first) == 32
    assert first not in (sent, second)


async def test_requests_side_by_side_keep_their_ids() -> None:
    async def work(request_id: str) -> tuple[str | None, object]:
        with request_context(request_id):
            await asyncio.sleep(0.001)
            return current_request_id(), structlog.contextvars.get_contextvars()["request_id"]

    first, second = await asyncio.gather(work("a"), work("b"))
    assert first == ("a", "a")
    assert second == ("b", "b")
    assert current_request_id() is None
    assert "request_id" not in structlog.contextvars.get_contextvars()

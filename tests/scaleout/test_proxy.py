"""What callers get where Serve's proxy answers by itself."""

from __future__ import annotations

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.plates import assert_problem
from lerenet.scaleout.proxy import layers


def client_of(proxy: ASGIApp) -> httpx.AsyncClient:
    [layer] = layers()
    app = layer.cls(proxy, *layer.args, **layer.kwargs)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://serve")


@pytest.mark.parametrize(
    ("status", "headers", "told", "code"),
    [
        (503, {"Retry-After": "2"}, 503, "queue_full"),
        (503, {}, 503, "unavailable"),
        (404, {}, 503, "loading"),
        (408, {}, 504, "deadline_exceeded"),
        (500, {}, 503, "unavailable"),
    ],
)
async def test_its_own_words_become_a_problem(status: int, headers: dict[str, str], told: int, code: str) -> None:
    response = await client_of(PlainTextResponse("Request dropped", status, headers)).post("/segment")

    assert_problem(response, told, code)
    assert "x-problem-code" not in response.headers
    assert ("retry-after" in response.headers) == (told == 503)


async def _silent(scope: Scope, receive: Receive, send: Send) -> None:
    """A proxy whose replica ended while it had the request: nothing is sent."""


async def test_a_request_lost_with_its_replica_may_be_sent_again() -> None:
    response = await client_of(_silent).post("/segment")

    assert_problem(response, 503, "unavailable")
    assert response.headers["retry-after"]


async def test_a_lost_deletion_is_not_to_be_sent_again() -> None:
    response = await client_of(_silent).delete("/support/a/shots/0")

    assert_problem(response, 502, "service_error")
    assert "retry-after" not in response.headers


async def test_an_answer_of_a_replica_passes_with_one_id() -> None:
    async def replica(scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope["headers"])[b"x-request-id"].decode()
        answer = PlainTextResponse("no", 503, {"X-Replica": "a1", "X-Request-ID": sent})
        answer.raw_headers.append((b"x-request-id", sent.encode()))  # as the proxy does
        await answer(scope, receive, send)

    response = await client_of(replica).get("/readyz", headers={"X-Request-ID": "line-3"})

    assert (response.status_code, response.text) == (503, "no")
    assert response.headers.get_list("x-request-id") == ["line-3"]


async def test_an_id_that_cannot_be_one_is_replaced() -> None:
    response = await client_of(_silent).get("/", headers={"X-Request-ID": "two words"})

    assert " " not in assert_problem(response, 503, "unavailable")["request_id"]


async def test_probes_of_the_proxy_are_its_own() -> None:
    response = await client_of(PlainTextResponse("unhealthy", 503)).get("/-/healthz")

    assert (response.status_code, response.text) == (503, "unhealthy")

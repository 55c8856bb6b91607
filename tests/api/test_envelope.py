from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from api.plates import assert_problem, form, image_part, plate_png, register
from conftest import ClientFactory
from lerenet.settings import Settings
from serving import AppClient

ROUTES = ["/", "/livez", "/readyz", "/metrics", "/version", "/limits", "/support", "/docs", "/openapi.json", "/nowhere"]


@pytest.mark.parametrize("route", ROUTES)
async def test_every_answer_says_who_it_is_for_with_what_it_was_made(client: AppClient, route: str) -> None:
    response = await client.get(route)

    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert re.search(r"total;dur=[0-9.]+$", response.headers["server-timing"])
    assert response.headers["x-weights-digest"] == "0" * 64
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_sane_request_id_is_kept(client: AppClient) -> None:
    response = await client.get("/support", headers={"X-Request-ID": "line-3/000417"})

    assert response.headers["x-request-id"] == "line-3/000417"


@pytest.mark.parametrize("sent", ["", "two words", "x" * 129, 'quote"', "<b>", "-dash"])
async def test_another_request_id_is_replaced(client: AppClient, sent: str) -> None:
    response = await client.get("/support", headers={"X-Request-ID": sent})

    assert response.headers["x-request-id"] != sent


async def test_requests_are_counted_by_route_template(client: AppClient) -> None:
    await register(client, "a-name-that-must-not-become-a-label")
    await client.get("/support/a-name-that-must-not-become-a-label")
    await client.get("/another-path-that-must-not-become-a-label")
    await client.post("/segment", **form(image_part(b"")))

    text = (await client.get("/metrics")).text

    assert 'lerenet_requests_total{code="200",method="GET",route="/support/{name}"} 1.0' in text
    assert 'lerenet_requests_total{code="404",method="GET",route="unmatched"} 1.0' in text
    assert 'lerenet_requests_total{code="422",method="POST",route="/segment"} 1.0' in text
    assert 'lerenet_problems_total{code="undecodable_image"} 1.0' in text
    assert "must-not-become-a-label" not in text


async def test_an_odd_method_does_not_become_a_label(client: AppClient) -> None:
    await client.request("BREW", "/segment")

    assert "BREW" not in (await client.get("/metrics")).text


async def test_bodies_beyond_what_may_be_held_together_answer_503(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_body_bytes=5_000, max_held_bytes=5_000))
    await register(client)

    with client.runtime.bodies.share() as others:
        others.take(4_900)
        refused = await client.post("/segment", **form(image_part(plate_png())))
    accepted = await client.post("/segment", **form(image_part(plate_png())))

    assert_problem(refused, 503, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert accepted.status_code == 200


async def test_a_proxy_prefix_is_part_of_every_address(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(root_path="/lerenet"))

    created = await client.post("/support", files=[("images", plate_png()), ("masks", plate_png()), ("name", b"a")])

    assert created.headers["location"] == "/lerenet/support/a"
    assert "http://service/lerenet/segment" in (await client.get("/")).text
    assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/lerenet"}]
    assert (await client.get("/lerenet/support/a")).status_code == 200  # for proxies that leave the prefix in place

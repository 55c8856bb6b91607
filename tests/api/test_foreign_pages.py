"""What pages of other origins may do, and what browsers are told with every answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.keys import headers, issued, write_keys
from api.plates import assert_problem, form, parts
from conftest import ClientFactory
from lerenet.errors import ConfigurationError
from lerenet.settings import Settings, load_settings
from serving import AppClient

ORIGIN = "https://mes.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "x-api-key, if-match",
}


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/livez", "/metrics", "/docs", "/support", "/nowhere"])
async def test_every_answer_tells_browsers_to_be_careful(client: AppClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


async def test_pages_of_other_origins_get_nothing_by_default(client: AppClient) -> None:
    answer = await client.get("/support", headers={"Origin": ORIGIN})
    preflight = await client.options("/support/a", headers=PREFLIGHT)

    assert not [name for each in (answer, preflight) for name in each.headers if name.startswith("access-control")]
    assert preflight.status_code == 405


async def test_a_named_origin_may_ask_with_a_key(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    key = issued("segment")
    path = write_keys(tmp_path / "keys.json", [key.record])
    client = await client_factory(make_settings(api_keys_file=path, cors_origins=f"{ORIGIN}, http://other:1"))

    preflight = await client.options("/support/a", headers=PREFLIGHT)
    answer = await client.get("/support", headers={"Origin": ORIGIN, **headers(key)})
    refused = await client.get("/support", headers={"Origin": ORIGIN})
    foreign = await client.get("/support", headers={"Origin": "https://elsewhere.example", **headers(key)})

    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert_problem(refused, 401, "unauthorized")
    assert refused.headers["access-control-allow-origin"] == ORIGIN  # so that the page can read why
    assert "access-control-allow-origin" not in foreign.headers
    assert not [each for each in (preflight, answer) if "access-control-allow-credentials" in each.headers]


async def test_a_form_of_another_origin_changes_nothing(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(cors_origins=ORIGIN))

    async def sent(name: str, site: str, origin: str) -> httpx.Response:
        headers = {"Sec-Fetch-Site": site, "Origin": origin}
        return await client.post("/support", **form(*parts(), name=name), headers=headers)

    for site in ("cross-site", "same-site"):
        assert_problem(await sent("a", site, "https://elsewhere.example"), 403, "forbidden")
    assert (await client.get("/support", headers={"Sec-Fetch-Site": "cross-site"})).json()["classes"] == []
    assert (await sent("a", "cross-site", ORIGIN)).status_code == 201
    assert (await sent("b", "same-origin", "http://service")).status_code == 201


@pytest.mark.parametrize("origins", ["mes.example", "https://mes.example/path", "https://*.example", "null"])
def test_an_origin_that_is_none_is_refused(origins: str) -> None:
    with pytest.raises(ConfigurationError, match="LERENET_CORS_ORIGINS"):
        load_settings(cors_origins=origins)

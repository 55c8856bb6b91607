from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from api.plates import assert_problem
from conftest import ClientFactory
from lerenet.api.static_files import static_files
from lerenet.settings import Settings
from serving import AppClient

LARGEST_BYTES = 16_000


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_a_file_has_its_type(client: AppClient, name: str, media_type: str) -> None:
    response = await client.get(f"/static/{name}")

    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/static/main.js"])
async def test_a_file_that_the_browser_has_is_not_sent_again(client: AppClient, path: str) -> None:
    first = await client.get(path)
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


@pytest.mark.parametrize("path", ["/static/index.html", "/static/app.py", "/static/", "/static/%2e%2e%2fapp.py"])
async def test_nothing_else_is_sent(client: AppClient, path: str) -> None:
    assert_problem(await client.get(path), 404, "not_found")


async def test_the_page_runs_only_scripts_of_its_own(client: AppClient) -> None:
    response = await client.get("/")
    policy = response.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert re.findall(r"<script(?![^>]* src=)|<style|style=|\son\w+=", response.text) == []


def test_files_come_from_nowhere_else() -> None:
    text = {name: file.data.decode() for name, file in static_files().items()}
    addresses = {found for each in text.values() for found in re.findall(r"https?://[^\s\"')]+", each)}

    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_modules_are_small() -> None:
    assert {name for name, file in static_files().items() if len(file.data) > LARGEST_BYTES} == set()


async def test_a_prefix_is_the_base_of_relative_addresses(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(root_path="/lerenet"))

    assert '<base href="/lerenet/">' in (await client.get("/")).text
    assert (await client.get("/lerenet/static/main.js")).status_code == 200


async def test_without_a_prefix_addresses_are_relative_to_where_the_page_was_found(client: AppClient) -> None:
    assert "<base" not in (await client.get("/")).text

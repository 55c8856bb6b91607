"""Two replicas of the whole application over one database, with folders of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from api.plates import PNG_HEADERS, plate_png, register
from conftest import ClientFactory
from fakes import LevelSegmenter, engine_with
from lerenet.settings import Settings
from serving import AppClient

Pair = tuple[tuple[AppClient, LevelSegmenter], tuple[AppClient, LevelSegmenter]]


@pytest.fixture
async def replicas(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], database_url: str, tmp_path: Path
) -> Pair:
    async def start(name: str) -> tuple[AppClient, LevelSegmenter]:
        segmenter = LevelSegmenter()
        settings = make_settings(database_url=database_url, data_dir=tmp_path / name)
        return await client_factory(settings, engine_with(segmenter)), segmenter

    return await start("a"), await start("b")


async def test_what_is_written_on_one_replica_is_read_on_the_other(replicas: Pair) -> None:
    (first, _), (second, _) = replicas
    await register(first)
    for threshold in (0.1, 0.2, 0.3, 0.4, 0.5):
        written = await first.patch("/support/scratches", json={"threshold": threshold})
        revision = written.headers["X-Registry-Revision"]

        found = await second.post("/segment", content=plate_png(), headers={**PNG_HEADERS, "X-Min-Revision": revision})

        assert found.json()["results"][0]["classes"][0]["threshold"] == threshold
        assert int(found.headers["X-Registry-Revision"]) >= int(revision)


async def test_what_is_deleted_on_one_replica_is_gone_on_the_other(replicas: Pair) -> None:
    (first, _), (second, _) = replicas
    await register(first)
    gone = await first.delete("/support/scratches")

    found = await second.post(
        "/segment?classes=scratches",
        content=plate_png(),
        headers={**PNG_HEADERS, "X-Min-Revision": gone.headers["X-Registry-Revision"]},
    )

    assert found.status_code == 404


async def test_one_replica_encodes_for_all(replicas: Pair) -> None:
    (first, _), (second, segmenter) = replicas
    n_encoded = segmenter.n_encoded
    await register(first)
    sent = {**PNG_HEADERS, "X-Min-Revision": "1"}

    found = await second.post("/segment", content=plate_png(), headers=sent)

    assert (found.status_code, segmenter.n_encoded) == (200, n_encoded)
    assert "lerenet_prototype_cache_shared_hits_total 1.0" in (await second.get("/metrics")).text

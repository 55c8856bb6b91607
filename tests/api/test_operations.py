from __future__ import annotations

import re
from collections.abc import Callable

from api.plates import form, image_part, plate_png, register
from conftest import ClientFactory
from lerenet import __version__
from lerenet.runtime.engine import build_engine
from lerenet.settings import Settings
from serving import AppClient


async def test_limits_are_those_of_the_design_by_default(client: AppClient) -> None:
    limits = (await client.get("/limits")).json()

    assert limits["max_body_bytes"] == 128 * 1024 * 1024
    assert (limits["max_image_pixels"], limits["max_image_side_px"]) == (80_000_000, 32_768)
    assert (limits["max_images"], limits["max_shots"], limits["max_classes"]) == (32, 32, 1_000)
    assert limits["deadline_s"] == 30
    assert limits["formats"] == [
        "coco_rle",
        "rle",
        "png",
        "probability",
        "polygons",
        "label_studio",
        "cvat",
        "none",
    ]


async def test_limits_follow_the_settings(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(max_images=3, deadline_s=1.5))

    limits = (await client.get("/limits")).json()

    assert (limits["max_images"], limits["deadline_s"]) == (3, 1.5)


async def test_every_limit_of_the_settings_is_published(client: AppClient) -> None:
    """What only bounds the queue and its batches is the operator's own affair."""
    internal = {
        "max_held_bytes",
        "max_held_pixels",
        "max_map_pixels",
        "max_queue_images",
        "max_queue_pixels",
        "max_batch_images",
        "max_batch_pixels",
    }
    limits = {name for name in Settings.model_fields if name.startswith("max_")} - internal

    assert limits <= (await client.get("/limits")).json().keys()


async def test_the_version_says_what_runs(client_factory: ClientFactory, settings: Settings) -> None:
    client = await client_factory(settings, build_engine)

    version = (await client.get("/version")).json()

    assert version["version"] == __version__
    assert re.fullmatch("[0-9a-f]{64}", version["weights"])
    assert (version["preset"], version["device"], version["precision"]) == ("metal", "cpu", "float32")
    assert version["torch"]


async def test_metrics_show_the_service_at_work(client: AppClient) -> None:
    await register(client)
    await client.post("/segment", **form(*[image_part(plate_png())] * 3))

    response = await client.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    samples = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
    assert samples["lerenet_ready"] == "1.0"
    assert samples["lerenet_classes"] == "1.0"
    assert samples["lerenet_batch_size_sum"] == "3.0"
    assert samples["lerenet_queue_depth"] == samples["lerenet_held_pixels"] == samples["lerenet_held_bytes"] == "0.0"
    assert float(samples["lerenet_prototype_bytes"]) > 0
    assert float(samples["lerenet_last_batch_timestamp_seconds"]) > 1e9
    for stage in ("read", "decode", "queue", "device", "encode"):
        assert float(samples[f'lerenet_stage_duration_seconds_count{{stage="{stage}"}}']) >= 1
    build = next(name for name in samples if name.startswith("lerenet_build_info"))
    assert __version__ in build


async def test_the_page_shows_lines_that_work(client: AppClient) -> None:
    response = await client.get("/", headers={"Host": "plant-7.example:8000"})

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "curl http://plant-7.example:8000/segment -F images=@frame.png" in response.text


async def test_a_host_header_cannot_write_the_page(client: AppClient) -> None:
    response = await client.get("/", headers={"Host": "x<script>alert(1)</script>"})

    assert "<script>" not in response.text


async def test_the_documentation_answers(client: AppClient) -> None:
    assert (await client.get("/docs")).status_code == 200

"""What Serve does with replicas of ours: metrics, back-pressure, health, other weights."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from hashlib import sha256
from pathlib import Path

import httpx

from api.plates import assert_problem, form, image_part, plate_png, register
from scaleout.cluster import Cluster
from scaleout.conftest import Deployed
from scaleout.levels import POISON

ORIGIN = "https://mes.example"
WITHIN_S = 240.0


async def test_metrics_are_those_of_every_replica(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text

    ready = [line for line in text.splitlines() if line.startswith("lerenet_ready{")]
    assert len(set(ready)) == len(ready) == 2


async def test_probes_of_serve_itself_are_left_alone(client: httpx.AsyncClient) -> None:
    assert (await client.get("/-/healthz")).text == "success"


async def test_too_many_requests_for_all_replicas_are_refused_as_by_one(
    client: httpx.AsyncClient, cluster: Cluster, deployed: Deployed
) -> None:
    await register(client)
    document = deepcopy(deployed.document)
    document["applications"][0]["deployments"][0] |= {"max_ongoing_requests": 1, "max_queued_requests": 1}
    await asyncio.to_thread(cluster.deploy, document)

    answers = await asyncio.gather(*(client.post("/segment", **form(image_part(plate_png()))) for _ in range(40)))

    refused = [each for each in answers if each.status_code != 200]
    assert 0 < len(refused) < len(answers)
    for each in refused:
        assert_problem(each, 503, "queue_full")
        assert int(each.headers["retry-after"]) > 0


async def test_a_replica_that_lost_its_device_is_replaced(client: httpx.AsyncClient) -> None:
    await register(client)

    lost = await client.post("/segment", **form(image_part(plate_png(POISON))))

    assert_problem(lost, 503, "device_failed")
    async with asyncio.timeout(WITHIN_S):  # both answer again, one of them new
        while (await client.get("/metrics")).text.count("lerenet_ready{") != 2 or not await _all_segment(client):
            await asyncio.sleep(0.2)


async def _all_segment(client: httpx.AsyncClient) -> bool:
    asked = (client.post("/segment", **form(image_part(plate_png()))) for _ in range(8))
    return all(each.status_code == 200 for each in await asyncio.gather(*asked))


async def test_other_weights_replace_the_replicas_without_losing_a_request(
    client: httpx.AsyncClient, cluster: Cluster, deployed: Deployed, tiny_weights: Path
) -> None:
    """A tiny network takes the place of what finds grey levels, and is open to pages of another origin."""
    await register(client)
    expected = sha256(tiny_weights.read_bytes()).hexdigest()
    document = deepcopy(deployed.document)
    [application] = document["applications"]
    application["deployments"][0]["max_surge_percent"] = 100  # both at once
    application["import_path"] = "lerenet.scaleout.application:application"
    application["runtime_env"]["env_vars"]["LERENET_WEIGHTS"] = str(tiny_weights)
    application["runtime_env"]["env_vars"]["LERENET_CORS_ORIGINS"] = ORIGIN
    digests: list[str] = []

    async def ask_until_new() -> None:
        async with asyncio.timeout(WITHIN_S):
            while expected not in digests:
                response = await client.post("/segment", **form(image_part(plate_png())))
                assert response.status_code == 200, response.text
                digests.append(response.headers["x-weights-digest"])

    await asyncio.gather(ask_until_new(), asyncio.to_thread(cluster.deploy, document))

    assert digests[0] == "0" * 64
    assert set(digests) == {"0" * 64, expected}
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = await client.options("/segment", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, ORIGIN)

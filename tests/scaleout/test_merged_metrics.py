from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse

from lerenet.observability import Metrics
from lerenet.scaleout.metrics import MetricsOfAll, merged


def test_each_replica_keeps_its_samples_under_one_family() -> None:
    one, other = Metrics(), Metrics()
    one.observe_batch(3, 0.1)
    texts = {"a": one.exposition().decode(), "b": other.exposition().decode()}

    families = {each.name: each for each in text_string_to_metric_families(merged(texts).decode())}

    counted = {
        sample.labels["replica"]: sample.value
        for sample in families["lerenet_batch_size"].samples
        if sample.name == "lerenet_batch_size_count"
    }
    assert counted == {"a": 1.0, "b": 0.0}
    assert families.keys() == {each.name for each in text_string_to_metric_families(texts["a"])}


@pytest.mark.parametrize(
    ("path", "status", "is_of_all"),
    [
        ("/metrics", 200, True),
        ("/lerenet/metrics", 200, True),
        ("/metrics", 401, False),
        ("/support/metrics", 200, False),
    ],
)
async def test_only_the_metrics_become_those_of_all(path: str, status: int, is_of_all: bool) -> None:
    async def gather() -> Mapping[str, str]:
        return {"a": Metrics().exposition().decode()}

    app = MetricsOfAll(PlainTextResponse("own", status), gather, root_path="/lerenet")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://serve") as client:
        response = await client.get(path)

    assert (response.text == "own") != is_of_all
    assert response.headers["content-length"] == str(len(response.content))

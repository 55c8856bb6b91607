from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from lerenet.observability import Metrics
from lerenet.scaleout.metrics import merged


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

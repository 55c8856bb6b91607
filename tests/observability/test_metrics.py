from __future__ import annotations

from lerenet.observability import Metrics, ServiceState


def test_requests_are_counted_with_their_stages() -> None:
    metrics = Metrics()
    metrics.observe_request(method="POST", route="/segment", status=200, seconds=0.02, stages={"device": 0.01})

    text = metrics.exposition().decode()

    assert 'lerenet_requests_total{code="200",method="POST",route="/segment"} 1.0' in text
    assert 'lerenet_request_duration_seconds_bucket{le="0.025",route="/segment"} 1.0' in text
    assert 'lerenet_stage_duration_seconds_sum{stage="device"} 0.01' in text


def test_a_method_nobody_knows_is_counted_as_other() -> None:
    metrics = Metrics()
    metrics.observe_request(method="X" * 1_000, route="unmatched", status=405, seconds=0.0, stages={})

    assert 'method="other"' in metrics.exposition().decode()


def test_batches_are_counted_by_size() -> None:
    metrics = Metrics()
    metrics.observe_batch(3, 0.2)

    text = metrics.exposition().decode()

    assert 'lerenet_batch_size_bucket{le="2.0"} 0.0' in text
    assert 'lerenet_batch_size_bucket{le="4.0"} 1.0' in text


def test_the_state_is_shown_as_it_was_last_set() -> None:
    metrics = Metrics()
    metrics.state = ServiceState({"version": "1"}, {"classes": 4}, {"prototype_cache_hits": 7}, {"free": 5})

    text = metrics.exposition().decode()

    assert 'lerenet_build_info{version="1"} 1.0' in text
    assert "lerenet_classes 4.0" in text
    assert "lerenet_prototype_cache_hits_total 7.0" in text
    assert 'lerenet_device_memory_bytes{kind="free"} 5.0' in text


def test_two_applications_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.count_problem("queue_full")

    assert 'code="queue_full"' not in second.exposition().decode()


def test_problems_that_are_expected_begin_at_0() -> None:
    metrics = Metrics()
    metrics.expect_problems(["queue_full"])

    assert 'lerenet_problems_total{code="queue_full"} 0.0' in metrics.exposition().decode()


def test_memory_that_did_not_suffice_is_counted() -> None:
    metrics = Metrics()
    metrics.count_out_of_memory()

    assert "lerenet_out_of_memory_total 1.0" in metrics.exposition().decode()


def test_the_process_is_seen_too() -> None:
    text = Metrics().exposition().decode()

    assert "process_resident_memory_bytes" in text
    assert "process_open_fds" in text

"""Prometheus metrics. Labels are bounded: routes by template, codes of our errors, nothing that callers choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Buckets of durations: from a small frame to the longest registration."""

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True)
class ServiceState:
    """What the service holds at one moment.

    Attributes:
        build: Labels of `lerenet_build_info`.
        gauges: Values by name, without the prefix.
        counters: Values that only grow, by name, without prefix and `_total`.
        device_memory_bytes: By kind: `allocated`, `reserved`, `free`; empty on the CPU.
    """

    build: Mapping[str, str] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    device_memory_bytes: Mapping[str, float] = field(default_factory=dict)


_DOCUMENTATION = {
    "ready": "1 when requests are answered, else 0.",
    "live": "1 while a restart would not help, else 0.",
    "classes": "Registered support classes.",
    "classes_limit": "Support classes that there may be.",
    "data_free_bytes": "Free space where the registry lies.",
    "queue_depth": "Images and calls that wait for the device.",
    "queue_limit": "Images that may wait for the device.",
    "queue_drain_seconds": "Forecast of the time until all that waits or runs is done.",
    "held_bytes": "Bytes of request bodies in memory.",
    "held_limit_bytes": "Bytes of request bodies that may be in memory.",
    "held_pixels": "Pixels of decoded images in memory.",
    "held_limit_pixels": "Pixels of decoded images that may be in memory.",
    "requests_in_progress": "Requests being worked on.",
    "http_processes": "Processes that speak HTTP beside the one that has the device.",
    "map_pixels": "Pixels of probability maps that wait to be encoded.",
    "prototype_bytes": "Prototypes on the device.",
    "prototype_host_bytes": "Prototypes in host memory, behind those on the device.",
    "last_batch_timestamp_seconds": "When the device last finished a batch, Unix time.",
    "last_work_timestamp_seconds": "When the device last finished a batch or a piece of a registration, Unix time.",
    "prototype_cache_hits": "Prototypes found on the device, in host memory, on disk or with other replicas.",
    "prototype_cache_device_hits": "Prototypes found on the device.",
    "prototype_cache_host_hits": "Prototypes found in host memory.",
    "prototype_cache_disk_hits": "Prototypes found on disk.",
    "prototype_cache_shared_hits": "Prototypes that another replica had made, found in the database.",
    "prototype_cache_misses": "Prototypes that had to be made, or waited for while another replica made them.",
    "prototype_cache_evictions": "Prototypes dropped from the device.",
}


class Metrics(Collector):
    """The metrics of one application, in a collector registry of their own.

    Attributes:
        content_type: Media type of `exposition`.
        state: Set before each `exposition` by whoever owns the service.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.state = ServiceState()
        self._registry = CollectorRegistry()
        self._requests = Counter("lerenet_requests", "Requests.", ["method", "route", "code"], registry=self._registry)
        self._durations = Histogram(
            "lerenet_request_duration_seconds",
            "Time to the answer.",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "lerenet_stage_duration_seconds",
            "Time of a request by stage.",
            ["stage"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batch_sizes = Histogram(
            "lerenet_batch_size", "Images in a batch.", buckets=SIZES, registry=self._registry
        )
        self._batch_durations = Histogram(
            "lerenet_batch_duration_seconds", "Time of a batch.", buckets=SECONDS, registry=self._registry
        )
        self._problems = Counter(
            "lerenet_problems", "Requests that were refused or failed.", ["code"], registry=self._registry
        )
        self._out_of_memory = Counter(
            "lerenet_out_of_memory", "Times that the device's memory did not suffice.", registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def observe_request(
        self, *, method: str, route: str, status: int, seconds: float, stages: Mapping[str, float]
    ) -> None:
        """Counts an answered request.

        Args:
            method: Any text; unusual ones become `other`.
            route: Template of the route, never the path as sent.
            status: HTTP status; 499 when the caller left.
            seconds: From the first byte to the answer's end.
            stages: Seconds by stage.
        """
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._durations.labels(route).observe(seconds)
        for stage, stage_s in stages.items():
            self._stages.labels(stage).observe(stage_s)

    def observe_batch(self, n_images: int, seconds: float) -> None:
        """Counts a batch."""
        self._batch_sizes.observe(n_images)
        self._batch_durations.observe(seconds)

    def count_problem(self, code: str) -> None:
        """Counts a refusal or failure by its stable code."""
        self._problems.labels(code).inc()

    def expect_problems(self, codes: Iterable[str]) -> None:
        """Shows problems that have not happened yet as 0: a counter that begins at 1 has never risen, to Prometheus."""
        for code in codes:
            self._problems.labels(code)

    def count_out_of_memory(self) -> None:
        """Counts work that was too large for the device's memory: a batch then runs in halves."""
        self._out_of_memory.inc()

    def exposition(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics that are read from `state`; called by the collector registry."""
        build = self.state.build
        info = GaugeMetricFamily("lerenet_build_info", "What is running.", labels=list(build))
        info.add_metric(list(build.values()), 1)
        yield info
        for name, value in self.state.gauges.items():
            yield GaugeMetricFamily(f"lerenet_{name}", _DOCUMENTATION[name], value=value)
        for name, value in self.state.counters.items():
            yield CounterMetricFamily(f"lerenet_{name}", _DOCUMENTATION[name], value=value)
        memory = GaugeMetricFamily("lerenet_device_memory_bytes", "Memory of the device.", labels=["kind"])
        for kind, n_bytes in self.state.device_memory_bytes.items():
            memory.add_metric([kind], n_bytes)
        yield memory

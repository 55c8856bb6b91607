"""Traces by the framework's own OpenTelemetry support: none until an `OTEL_*` variable names a collector."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import TracerProvider

from lerenet.api.envelope import QUIET_ROUTES


def telemetry(root_path: str, tracer_provider: TracerProvider | None) -> TelemetryConfig:
    """What is traced: requests, but not probes, scrapes and files of the page.

    Args:
        root_path: Prefix that a proxy may leave on paths.
        tracer_provider: Takes the spans; None: whatever the process is set up with.
    """

    def is_quiet(scope: MutableMapping[str, Any]) -> bool:
        path: str = scope.get("path", "").removeprefix(root_path)
        return path in QUIET_ROUTES or path.startswith("/static/")

    return {
        "tracer_provider": tracer_provider,
        "auto_configure": True,  # reads OTEL_EXPORTER_OTLP_ENDPOINT and its like; without one nothing is set up
        "logs": False,  # texts of exceptions stay in our own log
        "operation_spans": False,  # the stages say more
        "exclude": is_quiet,
    }

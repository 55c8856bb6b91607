"""Spans of stages, and the trace that a request belongs to. While nobody traces, it costs a microsecond a stage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


def trace_fields() -> dict[str, str]:
    """Ids of the current span and its trace, in hex, for log lines; empty outside of a span."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def record_span(tracer: Tracer, name: str, seconds: float, ended: float | None = None) -> None:
    """Adds what has just happened to the current trace, if it is recorded.

    Args:
        tracer: Makes the span.
        name: Of the span.
        seconds: How long it took.
        ended: Monotonic time of its end, in seconds; None: now.
    """
    if not trace.get_current_span().is_recording():
        return
    age_s = 0.0 if ended is None else time.monotonic() - ended
    end_ns = time.time_ns() - round(1e9 * age_s)
    tracer.start_span(name, start_time=end_ns - round(1e9 * seconds)).end(end_ns)

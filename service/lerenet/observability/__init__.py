"""What can be seen of a running service: logs, metrics, request ids, stage durations. Knows no HTTP framework."""

from lerenet.observability.logs import configure_logs
from lerenet.observability.metrics import Metrics, ServiceState
from lerenet.observability.request_id import accepted_request_id, current_request_id
from lerenet.observability.timings import Timings, note_stage, timed_stage

__all__ = [
    "Metrics",
    "ServiceState",
    "Timings",
    "accepted_request_id",
    "configure_logs",
    "current_request_id",
    "note_stage",
    "timed_stage",
]

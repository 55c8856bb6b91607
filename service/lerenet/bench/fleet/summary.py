"""What follows from a plan without a simulation: sums that a planner checks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.bench.fleet.costs import REGISTER
from lerenet.bench.fleet.plan import MIB, max_connections
from lerenet.bench.fleet.popularity import hit_share, n_for_share, shares
from lerenet.bench.fleet.replica import AT_REST

if TYPE_CHECKING:
    from lerenet.bench.fleet.plan import Plan

GIB = 1 << 30
WARM = 0.99


def sums(plan: Plan) -> list[tuple[str, float, str]]:
    """Name, value and unit of each."""
    popularity = shares(plan.n_classes, plan.zipf)
    n_requests = plan.n_replicas * plan.requests_per_s
    class_bytes = plan.image_bytes + plan.prototype_bytes
    return [
        ("requests of the fleet", n_requests, "a second"),
        ("of what its devices can do", 100 * plan.requests_per_s / plan.frames_per_s, "%, frames of 200 px"),
        ("network in front", n_requests * (plan.frame_bytes + plan.reply_bytes) / MIB, "MiB/s"),
        ("database", plan.n_classes * class_bytes / GIB, "GiB of images and prototypes"),
        ("polling", plan.n_replicas / plan.poll_s, "statements/s"),
        ("registry reads of requests", n_requests * plan.registry_reads, "statements/s"),
        ("connections at rest", float(AT_REST * plan.n_replicas), "one listens, one is kept in the pool"),
        ("max_connections for the worst", float(max_connections(plan.n_replicas)), "10 a replica, and 10"),
        ("changes of the fleet at most", 1 / _locked_s(plan), "a second: each locks the generation until its commit"),
        ("classes in a replica's memory", float(plan.n_in_memory), "classes"),
        ("requests that find theirs there", 100 * hit_share(popularity, plan.n_in_memory), "% (Che's approximation)"),
        ("memory for 99 %", n_for_share(popularity, WARM) * plan.prototype_bytes / GIB, "GiB a replica"),
        ("encodings for new weights, shared", float(plan.n_classes), "encodings"),
        ("the same, each for itself", float(plan.n_classes * plan.n_replicas), "encodings"),
        ("time for them, shared", plan.n_classes * plan.encode_s / plan.n_replicas, "s, spread evenly"),
        ("the same, each for itself", plan.n_classes * plan.encode_s, "s"),
    ]


def _locked_s(plan: Plan) -> float:
    """For how long a registration keeps other writers waiting."""
    statement_s = plan.database_cores / plan.database_reads_per_s + plan.round_trip_ms / 1_000
    return REGISTER * statement_s + plan.database_cores / plan.database_writes_per_s

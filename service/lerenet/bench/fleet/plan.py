"""What is planned: numbers with their units, and for each default where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from lerenet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIB = 1 << 20
CONNECTIONS = 10
"""Of a replica at most: one listens, eight are its pool, one holds its claims while it has any."""

SPARE_CONNECTIONS = 10
"""Three that PostgreSQL keeps for its superuser, and some for backup, metrics and `lerenet registry`."""


def max_connections(n_replicas: int) -> int:
    """What PostgreSQL's max_connections should be at least; replicas that a rollout starts early count, too."""
    return CONNECTIONS * n_replicas + SPARE_CONNECTIONS


def _number(default: Any, unit: str, source: str) -> Any:
    return field(default=default, metadata={"unit": unit, "source": source})


_ASKED = "asked: option of lerenet bench fleet"
_HERE = "measured: lerenet bench fleet --measure, one core of an AMD EPYC, shipped weights, 3 shots of 200 px"
_POSTGRES = "assumed: 8 cores; --database measures yours (2 busy cores, callers beside: 2,206 reads/s, 682 commits/s)"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A fleet, what it is asked, and what its parts can do. The metadata of each field has its unit and source."""

    n_replicas: int = _number(100, "replicas", _ASKED)
    n_classes: int = _number(10_000, "classes", _ASKED)
    requests_per_s: float = _number(5.0, "requests/s for each replica", "assumed: half of what a CPU core can do")
    zipf: float = _number(1.0, "exponent of the classes' popularity", "assumed: the usual skew of catalogues")
    changes_per_s: float = _number(0.2, "registrations and deletions/s", "assumed: 720 an hour, a busy shift")
    deletions: float = _number(0.2, "share of the changes", "assumed")

    frames_per_s: float = _number(11.0, "frames/s of 200 px on a device", _HERE)
    encode_s: float = _number(
        4.0, "s to make a class's prototypes", "measured: 3 shots of 200 px on 2 CPU cores (README)"
    )
    max_queue: int = _number(256, "encodings under way, then refused", "default of LERENET_MAX_QUEUE_IMAGES")
    encodings_at_once: int = _number(
        1, "encodings under way, others wait; 0: no limit", "design: support/sharing.py, turn"
    )
    checks_at_once: int = _number(500, "classes that a start looks for in one question", "design: WARMED_AT_ONCE")
    image_bytes: int = _number(102_321, "bytes of a class's images and masks", _HERE)
    prototype_bytes: int = _number(637_940, "bytes of a class's prototypes", _HERE)
    frame_bytes: int = _number(21_779, "bytes of a frame as sent", _HERE)
    reply_bytes: int = _number(1_024, "bytes of an answer", "assumed: JSON with one mask in COCO RLE and two regions")
    registry_reads: float = _number(
        0.0, "queries of a request", "design: the cached generation answers; 1 where each request asks for it"
    )
    load_s: float = _number(10.0, "s from start to ready", "assumed: weights from a local disk, CUDA's start")
    memory_bytes: int = _number(
        512 * MIB,
        "bytes of prototypes in a replica's memory",
        "default of LERENET_PROTOTYPE_CACHE_BYTES; LERENET_PROTOTYPE_HOST_BYTES beyond that adds the difference",
    )
    keeps_disk: bool = _number(True, "whether fetched prototypes stay on the local disk", "as the prototype cache does")

    poll_s: float = _number(1.0, "s between two looks at the generation", "design: POLL_S")
    notify_s: float = _number(
        0.005, "s, mean time of a NOTIFY to a replica", "assumed: one hop; --database found 0.007 on 2 busy cores"
    )
    notify_loss: float = _number(0.01, "share of the NOTIFYs that do not arrive", "assumed: connections being remade")
    pool_size: int = _number(8, "connections of a replica's pool", "design: MAX_CONNECTIONS")
    record_bytes: int = _number(1_024, "bytes of a class's record", "assumed: 1,229 were measured for one class")
    pointer_bytes: int = _number(64, "bytes of a row of all pointers", "design: name, revision, numbers, rounded up")
    digest_bytes: int = _number(75, "bytes of a row of all support digests", "design: 64 characters and the row's head")

    database_reads_per_s: float = _number(12_000.0, "small reads/s on all cores", _POSTGRES)
    database_writes_per_s: float = _number(1_000.0, "commits/s", _POSTGRES)
    database_bytes_per_s: float = _number(
        1.0e9, "bytes/s out of the database", "assumed: a link of 10 Gbit/s; --database found 1.1e8 on 2 busy cores"
    )
    database_cores: int = _number(8, "cores of the database", "assumed")
    round_trip_ms: float = _number(0.3, "ms of a statement on the way", "assumed: within one site")
    seed: int = _number(1, "", "chosen once")

    @property
    def n_in_memory(self) -> int:
        """Classes whose prototypes fit into a replica's memory; at least one."""
        return max(1, min(self.n_classes, self.memory_bytes // self.prototype_bytes))

    def rows(self) -> list[tuple[str, object, str, str]]:
        """Name, value, unit and source of each number; a value that is not the default is the caller's."""
        return [
            (
                each.name,
                value := getattr(self, each.name),
                each.metadata["unit"],
                each.metadata["source"] if value == each.default else "given or measured in this run",
            )
            for each in fields(self)
        ]


def changed(values: Mapping[str, Any], given: Sequence[str] = ()) -> Plan:
    """The plan with some numbers of one's own.

    Args:
        values: Numbers by name.
        given: `NAME=VALUE`, before `values`.

    Raises:
        ConfigurationError: There is no such number, or it cannot be read.
    """
    kinds: dict[str, Any] = {each.name: type(each.default) for each in fields(Plan)}
    parsed = dict(values)
    for assignment in given:
        name, _, text = assignment.partition("=")
        if name not in kinds:
            raise ConfigurationError(f"a plan has no number {name!r}; it has {', '.join(kinds)}")
        try:
            parsed[name] = text == "true" if kinds[name] is bool else kinds[name](text.replace("_", ""))
        except ValueError:
            raise ConfigurationError(f"{assignment!r}: {text!r} is no {kinds[name].__name__}") from None
    return Plan(**parsed)

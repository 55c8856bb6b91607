"""What edges and core say to each other. Tuples: they are pickled a thousand times a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lerenet.access import KeyRecord, Standing
from lerenet.edge.wire import Packed
from lerenet.errors import LERENetError
from lerenet.runtime.findings import SegmentationQuery, SoughtClass

BEAT_S = 0.25
"""Longest time between two signs of life of a process, in seconds."""

# -- from the core to an edge


class State(NamedTuple):
    """How the core is, whenever that changes and often besides.

    Attributes:
        is_live: Whether a restart would not help.
        refusal: What every request for masks is refused with now; None while there is no such reason.
        crowd: What the smallest of them is refused with now, for lack of room or time.
        weights_digest: Sha256 of the weights in use, in hex.
        retry_after_s: Forecast of when to come again, in seconds.
        registry_revision: The newest that the core has seen.
    """

    is_live: bool
    refusal: LERENetError | None
    crowd: LERENetError | None
    weights_digest: str | None
    retry_after_s: float
    registry_revision: int


class Part(NamedTuple):
    """Maps of some classes on one image of a question.

    Attributes:
        number: Of the question.
        frame: Number of the image.
        first_place: Position of the first of the classes.
        maps: (H, W) each.
        classes: All that the question is about, with its first part.
        revision: Of the registry, as `Answered` has it.
        submitted: Monotonic time at which its jobs joined the line, in seconds.
        started: When the device began with them.
        ended: When it was done.
    """

    number: int
    frame: int
    first_place: int
    maps: Sequence[Packed]
    classes: Sequence[SoughtClass]
    revision: int | None
    submitted: float
    started: float
    ended: float


class Answered(NamedTuple):
    """The end of a question without maps.

    Attributes:
        number: Of the question.
        error: Why there are none; None where nothing else was asked for.
        revision: Of the registry that the question has seen, if it has looked.
        value: What was asked for.
    """

    number: int
    error: BaseException | None = None
    revision: int | None = None
    value: Standing | None = None


class Stop(NamedTuple):
    """The edge takes no more connections, answers what it has, and ends."""


# -- from an edge to the core


class Find(NamedTuple):
    """A question: the maps of images. Without images it is only whether the classes can be looked for.

    Attributes:
        number: Of the question.
        request_id: For the log.
        query: What is asked.
        images: (H, W) or (H, W, 3), the parts that are looked at.
        deadline: Monotonic time, in seconds, after which nobody waits.
    """

    number: int
    request_id: str | None
    query: SegmentationQuery
    images: Sequence[Packed]
    deadline: float


class Count(NamedTuple):
    """A question: where a key stands after one more request."""

    number: int
    key: KeyRecord


class CatchUp(NamedTuple):
    """A question: an answer once the registry is seen as it is at a revision."""

    number: int
    revision: int


class LetGo(NamedTuple):
    """The maps of a part have been read."""

    number: int
    frame: int
    first_place: int


class Cancel(NamedTuple):
    """Nobody waits for a question or an exchange any more."""

    number: int


class Observed(NamedTuple):
    """Requests that the edge has answered: arguments of `Metrics.observe_request`, and codes of problems."""

    requests: Sequence[Mapping[str, Any]]
    problems: Sequence[str]


# -- both ways: a request that the core answers


class Opened(NamedTuple):
    """An edge has a request for the core's application: the serialisable part of its ASGI scope."""

    number: int
    scope: Mapping[str, Any]


class Piece(NamedTuple):
    """A piece of the request's or the answer's body; the last has no more behind it."""

    number: int
    body: Any
    is_last: bool


class Taken(NamedTuple):
    """Bytes of pieces have been taken, so that as many more may follow."""

    number: int
    n_bytes: int


class Left(NamedTuple):
    """The caller is gone."""

    number: int


class Wanted(NamedTuple):
    """The application asks for the request's body: nothing of it is read before."""

    number: int


class Head(NamedTuple):
    """Status and headers of the answer."""

    number: int
    status: int
    headers: Sequence[tuple[bytes, bytes]]


class Ended(NamedTuple):
    """The application has returned, or raised; whatever it has not said, it never will."""

    number: int
    has_raised: bool

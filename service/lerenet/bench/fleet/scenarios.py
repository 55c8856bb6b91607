"""What is asked of a fleet: how old its views get, what the database bears, and what a restart costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lerenet.bench.fleet.database import BIN_S
from lerenet.bench.fleet.plan import MIB
from lerenet.bench.fleet.simulation import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lerenet.bench.fleet.plan import Plan

GOAL = 0.99
WINDOW_S = 20.0
STEADY_S, STORM_S, ROLL_S = 600.0, 480.0, 300.0
ROLL_AT_ONCE, ROLL_START_S = 10, 30.0


@dataclass(frozen=True, eq=False)
class Course:
    """What one simulation showed, by the second.

    Attributes:
        name: Of the scenario.
        note: Its conditions, in a few words.
        warm: Share of the requests of each second that were answered warm, see `PROMPT_S`; empty without requests.
        in_memory: Share that found prototypes in memory, likewise.
        queries: Statements a second.
        mib: MiB a second to and from the database.
        ages_s: Ages of views; see `Following`.
        n_encodings: Begun within the time.
        peak_connections: Most connections at work.
        connection_wait_s: Longest wait for one of a replica's pool.
        complete_s: When the last class of new weights was made; None: not in this time.
        n_refused: Encodings for which a device had no room.
        n_given_up: Waits for another replica's encoding that lasted a minute, and ended in one of one's own.
    """

    name: str
    note: str
    warm: NDArray[np.float64]
    in_memory: NDArray[np.float64]
    queries: NDArray[np.float64]
    mib: NDArray[np.float64]
    ages_s: NDArray[np.float64]
    n_encodings: int
    peak_connections: int
    connection_wait_s: float
    complete_s: float | None
    n_refused: int
    n_given_up: int

    def warm_after_s(self) -> float | None:
        """Seconds until `GOAL` of the requests of any later `WINDOW_S` are warm; None: not in this time."""
        width = int(WINDOW_S / BIN_S)
        if len(self.warm) < width:
            return None
        cold = np.flatnonzero(np.convolve(self.warm, np.full(width, 1 / width), mode="valid") < GOAL)
        after = int(cold[-1]) + width if len(cold) else 0
        return after * BIN_S if after < len(self.warm) else None

    @property
    def mean_age_s(self) -> float | None:
        """Mean of the ages, in seconds; None where nothing changed."""
        return float(self.ages_s.mean()) if len(self.ages_s) else None

    def age_s(self, percentile: float) -> float | None:
        """A percentile of the ages, in seconds; None where nothing changed."""
        return float(np.percentile(self.ages_s, percentile)) if len(self.ages_s) else None


def notified(plan: Plan) -> Course:
    """Requests and changes as planned; replicas are told and look."""
    return _steady(plan, "steady", has_notify=True)


def polled(plan: Plan) -> Course:
    """The same without NOTIFY."""
    return _steady(plan, "steady, poll alone", has_notify=False)


def restarted(plan: Plan) -> Course:
    """All replicas start at once with nothing in memory and on disk; the database has the prototypes."""
    fleet = Fleet(plan, STORM_S)
    for replica in fleet.replicas:
        replica.empty()
    return _storm(fleet, "all restart", "prototypes in the database")


def new_weights(plan: Plan) -> Course:
    """The same with weights for which nothing is made yet; each class is made once, by whoever claims it."""
    return _storm(Fleet(plan, STORM_S, is_warm=False), "all restart, new weights", "shared")


def new_weights_before_frames(plan: Plan) -> Course:
    """The same while other replicas still answer all requests."""
    fleet = Fleet(plan, STORM_S, is_warm=False)
    fleet.add_starts()
    return _course(fleet, "all start, new weights", "shared, before frames come")


def new_weights_apart(plan: Plan) -> Course:
    """The same without sharing: every replica makes every class."""
    fleet = Fleet(plan, STORM_S, has_sharing=False, is_warm=False)
    return _storm(fleet, "all restart, new weights", "each for itself")


def rolled(plan: Plan) -> Course:
    """Replicas restart some at a time, under requests and changes."""
    fleet = Fleet(plan, ROLL_S)
    fleet.add_requests()
    fleet.add_changes()
    fleet.add_rolling_restart(ROLL_AT_ONCE, ROLL_START_S)
    return _course(fleet, "rolling restart", f"{ROLL_AT_ONCE} at a time")


SCENARIOS: Sequence[Callable[[Plan], Course]] = (
    notified,
    polled,
    restarted,
    new_weights,
    new_weights_before_frames,
    new_weights_apart,
    rolled,
)
"""In the order in which they are shown."""


def row(course: Course) -> dict[str, object]:
    """Figures of a course as a row of the table."""
    return {
        "scenario": course.name,
        "conditions": course.note,
        "age p50 s": course.age_s(50),
        "mean s": course.mean_age_s,
        "p99.9 s": course.age_s(99.9),
        "max s": course.age_s(100),
        "queries/s": float(course.queries.mean()),
        "peak": float(course.queries.max()),
        "MiB/s": float(course.mib.mean()),
        "peak MiB/s": float(course.mib.max()),
        "connections": course.peak_connections,
        "wait s": course.connection_wait_s,
        "encodings": course.n_encodings,
        "refused": course.n_refused,
        "given up": course.n_given_up,
        "all made after s": course.complete_s,
        "99 % warm after s": course.warm_after_s(),
        "least warm %": 100 * float(course.warm.min()) if len(course.warm) else None,
    }


def _steady(plan: Plan, name: str, *, has_notify: bool) -> Course:
    fleet = Fleet(plan, STEADY_S, has_notify=has_notify)
    fleet.add_requests()
    fleet.add_changes()
    return _course(fleet, name, "with NOTIFY" if has_notify else "without NOTIFY")


def _storm(fleet: Fleet, name: str, note: str) -> Course:
    fleet.add_requests()
    fleet.add_starts()
    return _course(fleet, name, note)


def _course(fleet: Fleet, name: str, note: str) -> Course:
    fleet.run()
    n_bins = int(fleet.horizon_s / BIN_S)
    answers, database = fleet.answers, fleet.database
    n_shown = n_bins if answers.n_all.any() else 0
    asked = np.maximum(answers.n_all[:n_shown], 1)
    return Course(
        name=name,
        note=note,
        warm=answers.n_prompt[:n_shown] / asked,
        in_memory=answers.n_in_memory[:n_shown] / asked,
        queries=np.array([database.queries[second] for second in range(n_bins)]) / BIN_S,
        mib=np.array([database.n_bytes[second] for second in range(n_bins)]) / BIN_S / MIB,
        ages_s=np.array(fleet.following.ages_s),
        n_encodings=fleet.n_encodings,
        peak_connections=database.peak_connections,
        connection_wait_s=fleet.shared.waited_s,
        complete_s=fleet.shared.complete_s,
        n_refused=fleet.n_refused,
        n_given_up=fleet.shared.n_given_up,
    )

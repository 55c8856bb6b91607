"""The simulated fleet against what can be worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy
from numpy.typing import NDArray
from typer.testing import CliRunner

from lerenet.bench.fleet import scenarios
from lerenet.bench.fleet.device import Device
from lerenet.bench.fleet.plan import CONNECTIONS, Plan, changed, max_connections
from lerenet.bench.fleet.popularity import hit_share, n_for_share, shares
from lerenet.bench.fleet.scenarios import rolled, row
from lerenet.bench.fleet.simulation import Fleet
from lerenet.cli.main import app
from lerenet.errors import ConfigurationError


def plan(**numbers: Any) -> Plan:
    """A small fleet."""
    return Plan(**{"n_replicas": 10, "n_classes": 50, "changes_per_s": 2.0, "encode_s": 0.01, **numbers})


def ages(has_notify: bool, **numbers: Any) -> NDArray[np.float64]:
    fleet = Fleet(plan(**numbers), 100.0, has_notify=has_notify)
    fleet.add_changes()
    fleet.run()
    return np.array(fleet.following.ages_s)


def stormed(has_sharing: bool, horizon_s: float, **numbers: Any) -> Fleet:
    fleet = Fleet(plan(**{"encode_s": 1.0, **numbers}), horizon_s, has_sharing=has_sharing, is_warm=False)
    fleet.add_starts()
    fleet.run()
    return fleet


def test_views_that_are_only_polled_are_half_a_period_old() -> None:
    found = ages(has_notify=False, poll_s=1.0)
    assert found.mean() == pytest.approx(0.5, abs=0.02)
    assert found.max() <= 1.05  # a period, and two statements beside those of others


def test_views_that_are_told_are_as_old_as_the_message() -> None:
    found = ages(has_notify=True, notify_s=0.01, notify_loss=0.0)
    assert np.median(found) == pytest.approx(0.01 * math.log(2), abs=0.004)  # and two statements


def test_a_lost_message_waits_for_the_next_poll() -> None:
    found = ages(has_notify=True, notify_loss=1.0, poll_s=2.0)
    assert found.mean() == pytest.approx(1.0, abs=0.05)


def test_every_replica_hears_of_every_change_once() -> None:
    fleet = Fleet(plan(), 20.0)
    fleet.env.process(_commits(fleet, 5))
    fleet.run()
    assert len(fleet.following.ages_s) == 5 * 10


def _commits(fleet: Fleet, n_changes: int) -> Any:
    for _ in range(n_changes):
        fleet.following.commit()
        yield fleet.env.timeout(1.0)


def read_bytes(n_deletions: int, n_registrations: int) -> int:
    """Of a fleet at rest that hears of a few changes."""
    fleet = Fleet(plan(n_classes=1_000, pointer_bytes=100, record_bytes=10, notify_loss=0.0), 10.0)
    for is_deletion in [True] * n_deletions + [False] * n_registrations:
        fleet.following.commit(is_deletion)
    fleet.run()
    return sum(fleet.database.n_bytes.values())


def test_a_change_sends_its_own_row_and_a_deletion_all_names() -> None:
    assert read_bytes(0, 3) == 10 * 3 * 10  # three changes of one moment are read together
    assert read_bytes(1, 0) == 10 * (10 + 1_000 * 100)


def test_with_sharing_each_class_is_made_once() -> None:
    fleet = stormed(True, 20.0)
    assert fleet.n_encodings == sum(fleet.shared.stored) == 50  # 5 s where ten replicas share the work evenly


def test_without_sharing_each_replica_makes_each_class() -> None:
    assert stormed(False, 60.0).n_encodings == 50 * 10


def test_a_claim_of_another_is_waited_for_a_minute() -> None:
    assert stormed(True, 65.0, n_replicas=2, n_classes=1, encode_s=59.0).n_encodings == 1
    slow = stormed(True, 65.0, n_replicas=2, n_classes=1, encode_s=64.0)
    assert (slow.n_encodings, slow.shared.n_given_up) == (2, 1)


def test_whoever_waits_asks_four_times_a_second() -> None:
    busy = sum(stormed(True, 50.0, n_replicas=2, n_classes=1, encode_s=50.0).database.queries.values())
    idle = sum(stormed(True, 50.0, n_replicas=1, n_classes=1, encode_s=50.0).database.queries.values())
    # a claim and a question in five statements; and the second replica's own start and polls
    assert busy - idle == pytest.approx(50 / 0.25 * 6 + 50, rel=0.05)


def test_claims_of_a_replica_need_one_connection_together() -> None:
    fleet = Fleet(plan(n_replicas=2, encode_s=50.0, encodings_at_once=0), 10.0, is_warm=False)
    for replica in fleet.replicas:
        for index in range(4):
            replica.wanted(index)
    fleet.run()
    assert fleet.database.peak_connections <= 2 * (1 + 4 + 1)  # listening, at most four at once of the pool, claims
    assert len(fleet.shared.claimed) == 4


def test_a_replica_claims_one_class_after_the_other() -> None:
    fleet = Fleet(plan(n_replicas=2, encode_s=50.0), 10.0, is_warm=False)
    for replica in fleet.replicas:
        for index in range(4):
            replica.wanted(index)
    fleet.run()
    assert len(fleet.shared.claimed) == 2


def test_a_start_beyond_its_memory_looks_and_fetches_nothing() -> None:
    fleet = Fleet(plan(prototype_bytes=1_000, memory_bytes=10_000, record_bytes=0), 10.0)
    for replica in fleet.replicas:
        replica.empty()
    fleet.add_starts()
    fleet.run()
    assert sum(fleet.database.n_bytes.values()) == 10 * 10 * 1_000
    assert sum(sum(replica.on_disk) for replica in fleet.replicas) == 10 * 10


def test_writers_take_turns() -> None:
    fleet = Fleet(plan(database_writes_per_s=8.0, poll_s=1_000.0), 20.0)
    ends_s = []
    for replica in fleet.replicas:
        written = fleet.env.process(replica.write(0, 0, 1))
        written.callbacks.append(lambda _: ends_s.append(fleet.env.now))
    fleet.run()
    assert np.diff(ends_s).tolist() == pytest.approx([1.0] * 9, abs=0.01)  # a commit takes one of eight cores a second


def device_ends(*begins_s: float, frames: int = 0, **numbers: Any) -> list[float]:
    env = simpy.Environment()
    device = Device(env, plan(encode_s=2.0, frames_per_s=10.0, **numbers))
    ends_s = []

    def encode(begin_s: float) -> Any:
        yield env.timeout(begin_s)
        done = device.encode()
        device.frames(frames)
        if done is not None:
            yield done
            ends_s.append(env.now)

    for begin_s in begins_s:
        env.process(encode(begin_s))
    env.run()
    return ends_s


def test_encodings_share_a_device_evenly_and_frames_go_first() -> None:
    assert device_ends(0.0) == [2.0]
    assert device_ends(0.0, 1.0) == pytest.approx([3.0, 4.0])
    assert device_ends(0.0, frames=10) == pytest.approx([3.0])
    assert len(device_ends(*[0.0] * 5, max_queue=3)) == 3


def test_a_request_that_is_refused_is_not_answered_warm() -> None:
    fleet = Fleet(plan(encode_s=100.0, max_queue=1, encodings_at_once=0), 20.0, has_sharing=False, is_warm=False)
    fleet.add_requests()
    fleet.run()
    assert fleet.n_refused > 0 == fleet.answers.n_prompt.sum()


def test_requests_are_answered_from_memory_as_che_says() -> None:
    small = plan(n_classes=500, prototype_bytes=1, memory_bytes=100, requests_per_s=50.0)
    fleet = Fleet(small, 60.0)
    fleet.add_requests()
    fleet.run()
    answers = fleet.answers
    found = answers.n_in_memory[30:].sum() / answers.n_all[30:].sum()
    assert found == pytest.approx(hit_share(shares(500, 1.0), 100), abs=0.02)


def test_memory_for_a_share_is_the_least_that_suffices() -> None:
    popularity = shares(500, 1.0)
    n_classes = n_for_share(popularity, 0.9)
    assert hit_share(popularity, n_classes) >= 0.9 > hit_share(popularity, n_classes - 1)


def test_polls_are_the_load_of_a_fleet_at_rest() -> None:
    fleet = Fleet(plan(poll_s=0.5), 40.0)
    fleet.run()
    assert sum(fleet.database.queries.values()) == pytest.approx(10 / 0.5 * 40, rel=0.02)


def test_no_replica_has_more_connections_than_are_planned_for_it() -> None:
    fleet = Fleet(plan(n_classes=500, requests_per_s=200.0), 3.0, is_warm=False)
    fleet.add_requests()
    fleet.run()
    assert fleet.database.peak_connections == CONNECTIONS * 10 < max_connections(10)


def test_the_same_plan_gives_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "ROLL_S", 60.0)
    first, second = (row(rolled(plan())) for _ in range(2))
    assert first == second


def test_replicas_are_warm_again_after_a_rolling_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "ROLL_S", 100.0)
    course = rolled(plan(n_replicas=20, n_classes=20, requests_per_s=20.0))
    assert course.n_encodings == pytest.approx(100 * 2.0 * 0.8, rel=0.2)  # registrations, and nothing made again
    assert course.queries.max() > 20
    assert course.warm[-20:].min() > 0.9


def test_every_number_says_where_it_comes_from() -> None:
    sources = [each.metadata["source"] for each in fields(Plan) if each.name != "seed"]
    assert all(source.split(":")[0] in SOURCES or "default" in source for source in sources)


SOURCES = {
    "asked",
    "assumed",
    "measured",
    "design",
    "option",
    "as the prototype cache does",
}


@pytest.mark.parametrize("wrong", ["speed=1", "poll_s=often"])
def test_a_number_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong.split("=", maxsplit=1)[0]):
        changed({}, [wrong])


def test_the_command_writes_tables_figures_and_a_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("LERENET_DATABASE_URL", raising=False)
    for name in ("STEADY_S", "STORM_S", "ROLL_S"):
        monkeypatch.setattr(scenarios, name, 40.0)
    words = ["bench", "fleet", "--replicas", "3", "--classes", "20", "--set", "poll_s=2.0", "--out", str(tmp_path)]

    result = CliRunner().invoke(app, words)

    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "fleet.json").read_text(encoding="utf-8"))
    assert ["poll_s", 2.0, "s between two looks at the generation", "given or measured in this run"] in document["plan"]
    assert len(document["scenarios"]) == 7
    assert (tmp_path / "fleet.png").read_bytes().startswith(b"\x89PNG")
    assert "rolling restart" in result.output

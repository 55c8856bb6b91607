"""The simulated fleet against what can be worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from lerenet.bench.fleet.plan import Plan, changed
from lerenet.bench.fleet.popularity import hit_share, n_for_share, shares
from lerenet.bench.fleet.replica import Walk
from lerenet.bench.fleet.scenarios import rolled, row
from lerenet.bench.fleet.simulation import Fleet
from lerenet.cli.main import app
from lerenet.errors import ConfigurationError


def plan(**numbers: Any) -> Plan:
    """A small fleet."""
    return Plan(**{"n_replicas": 10, "n_classes": 50, "changes_per_s": 2.0, "encode_s": 0.01, **numbers})


def ages(has_notify: bool, **numbers: Any) -> NDArray[np.float64]:
    fleet = Fleet(plan(**numbers), 200.0, has_notify=has_notify)
    fleet.add_changes()
    fleet.run()
    return np.array(fleet.following.ages_s)


def stormed(how: Walk, has_sharing: bool, horizon_s: float, **numbers: Any) -> Fleet:
    fleet = Fleet(plan(encode_s=1.0, **numbers), horizon_s, has_sharing=has_sharing, is_warm=False)
    fleet.walk(how)
    fleet.run()
    return fleet


def test_views_that_are_only_polled_are_half_a_period_old() -> None:
    found = ages(has_notify=False, poll_s=1.0)
    assert found.mean() == pytest.approx(0.5, abs=0.02)
    assert found.max() <= 1.01


def test_views_that_are_told_are_as_old_as_the_message() -> None:
    found = ages(has_notify=True, notify_s=0.01, notify_loss=0.0)
    assert np.median(found) == pytest.approx(0.01 * math.log(2), rel=0.2)


def test_a_lost_message_waits_for_the_next_poll() -> None:
    found = ages(has_notify=True, notify_loss=1.0, poll_s=2.0)
    assert found.mean() == pytest.approx(1.0, abs=0.05)


def test_every_replica_hears_of_every_change_once() -> None:
    fleet = Fleet(plan(), 60.0)
    fleet.env.process(_commits(fleet, 5))
    fleet.run()
    assert len(fleet.following.ages_s) == 5 * 10


def _commits(fleet: Fleet, n_changes: int) -> Any:
    for _ in range(n_changes):
        fleet.following.commit()
        yield fleet.env.timeout(1.0)


@pytest.mark.parametrize("how", ["names", "shuffled"])
def test_with_sharing_each_class_is_made_once(how: Walk) -> None:
    assert stormed(how, True, 200.0).shared.n_encodings == 50


def test_without_sharing_each_replica_makes_each_class() -> None:
    assert stormed("names", False, 200.0).shared.n_encodings == 50 * 10


def test_replicas_that_go_by_name_wait_for_one_class_at_a_time() -> None:
    by_name, shuffled = (stormed(how, True, 20.0).shared.stored.sum() for how in ("names", "shuffled"))
    assert by_name == pytest.approx(20, abs=2)  # a second each
    assert shuffled == 50  # 5 s where ten replicas share the work evenly


def test_requests_are_answered_from_memory_as_che_says() -> None:
    small = plan(n_classes=500, prototype_bytes=1, memory_bytes=100, requests_per_s=50.0)
    fleet = Fleet(small, 100.0)
    fleet.add_requests()
    fleet.run()
    answers = fleet.answers
    found = answers.n_in_memory[50:].sum() / answers.n_all[50:].sum()
    assert found == pytest.approx(hit_share(shares(500, 1.0), 100), abs=0.02)


def test_memory_for_a_share_is_the_least_that_suffices() -> None:
    popularity = shares(500, 1.0)
    n_classes = n_for_share(popularity, 0.9)
    assert hit_share(popularity, n_classes) >= 0.9 > hit_share(popularity, n_classes - 1)


def test_polls_are_the_load_of_a_fleet_at_rest() -> None:
    fleet = Fleet(plan(poll_s=0.5), 100.0)
    fleet.run()
    assert sum(fleet.database.queries.values()) == pytest.approx(10 / 0.5 * 100, rel=0.02)


def test_connections_stay_within_the_limit() -> None:
    fleet = stormed("shuffled", True, 200.0, max_connections=18)
    assert fleet.database.peak_connections <= 18 - 3
    assert fleet.database.waited_s > 0
    assert fleet.shared.n_encodings == 50


def test_a_database_that_only_listens_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="raise max_connections"):
        plan(max_connections=13)


def test_the_same_plan_gives_the_same_figures() -> None:
    first, second = (row(rolled(plan())) for _ in range(2))
    assert first == second


def test_replicas_are_warm_again_after_a_rolling_restart() -> None:
    course = rolled(plan(n_replicas=20, n_classes=20, requests_per_s=20.0))
    assert course.n_encodings == pytest.approx(240 * 2.0 * 0.8, rel=0.2)  # registrations, and nothing made again
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
    "name, revision and protocol, rounded up",
}


@pytest.mark.parametrize("wrong", ["speed=1", "poll_s=often"])
def test_a_number_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong.split("=", maxsplit=1)[0]):
        changed({}, [wrong])


def test_the_command_writes_tables_figures_and_a_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("LERENET_DATABASE_URL", raising=False)
    words = ["bench", "fleet", "--replicas", "3", "--classes", "20", "--set", "poll_s=2.0", "--out", str(tmp_path)]

    result = CliRunner().invoke(app, words)

    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "fleet.json").read_text(encoding="utf-8"))
    assert ["poll_s", 2.0, "s between two looks at the generation", "given or measured in this run"] in document["plan"]
    assert len(document["scenarios"]) == 7
    assert (tmp_path / "fleet.png").read_bytes().startswith(b"\x89PNG")
    assert "rolling restart" in result.output

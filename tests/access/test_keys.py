from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lerenet.access import KeyRing, Rates, change_keys, issue_key, read_keys, start_key_file
from lerenet.errors import ConfigurationError, Unauthorized

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "keys.json"
    start_key_file(path)
    return path


def test_a_key_is_long_random_marked() -> None:
    first, second = issue_key("", ["segment"]), issue_key("", ["segment"])

    assert first.secret.startswith(f"{first.record.prefix}_")
    assert first.record.prefix.startswith("lere_")
    assert len(first.secret) == len("lere_12345678_") + 43
    assert first.secret != second.secret


def test_the_file_is_for_its_owner_alone_without_the_secret(path: Path) -> None:
    issued = issue_key("line 3", ["register", "segment"], valid_for=timedelta(days=3), max_classes=4)
    change_keys(path, lambda kept: [*kept, issued.record])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path) == (issued.record,)
    assert issued.secret.removeprefix(issued.record.prefix) not in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


def test_the_file_keeps_its_owner(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("os.chown", lambda unfinished, user, group: given.append((user, group)))
    owner = path.stat()
    change_keys(path, lambda kept: kept)

    assert given == [(owner.st_uid, owner.st_gid)]


def test_commands_at_the_same_time_lose_no_key(path: Path) -> None:
    records = [issue_key("", ["segment"]).record for _ in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda record: change_keys(path, lambda kept: [*kept, record]), records))

    assert {each.prefix for each in read_keys(path)} == {each.prefix for each in records}


def test_a_change_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_keys(path, lambda kept: [issue_key("", ["segment"]).record])
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        change_keys(path, lambda kept: [])

    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"keys": [{}]}', '{"keys": [], "more": 1}', '{"keys": [{"prefix": "lere_00000000"}]}'],
)
def test_a_damaged_file_is_refused_by_name(path: Path, content: str) -> None:
    path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"keys\.json is damaged"):
        read_keys(path)


def test_two_keys_with_one_prefix_are_refused(path: Path) -> None:
    record = issue_key("", ["segment"]).record
    change_keys(path, lambda kept: [record, record])

    with pytest.raises(ConfigurationError, match="one prefix"):
        read_keys(path)


def test_a_key_expires(path: Path) -> None:
    issued = issue_key("", ["segment"], now=NOW, valid_for=timedelta(days=1))
    change_keys(path, lambda kept: [issued.record])
    now = [NOW]
    ring = KeyRing(path, now=lambda: now[0])

    assert ring.find(issued.secret) == issued.record
    now[0] += timedelta(days=1)
    with pytest.raises(Unauthorized, match="expired"):
        ring.find(issued.secret)


def test_a_new_key_is_taken_within_a_second(path: Path) -> None:
    clock = [0.0]
    ring = KeyRing(path, clock=lambda: clock[0])
    issued = issue_key("", ["segment"])
    change_keys(path, lambda kept: [issued.record])

    clock[0] = 1.0
    ring.refresh()

    assert ring.find(issued.secret) == issued.record


def test_a_deleted_file_opens_nothing(path: Path) -> None:
    clock = [0.0]
    issued = issue_key("", ["segment"])
    change_keys(path, lambda kept: [issued.record])
    ring = KeyRing(path, clock=lambda: clock[0])
    path.unlink()

    clock[0] = 5.0
    ring.refresh()

    assert ring.fault is not None
    assert ring.find(issued.secret) == issued.record
    with pytest.raises(Unauthorized):
        ring.find("")


def test_digests_are_compared_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [issue_key("", ["segment"]).record for _ in range(3)]
    change_keys(path, lambda kept: records)
    compared = []

    def compare(kept: str, sent: str) -> bool:
        compared.append((len(kept), len(sent)))
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    with pytest.raises(Unauthorized):
        KeyRing(path).find("lere_00000000_x")

    assert compared == [(64, 64)] * 3


def test_a_rate_fills_again_evenly() -> None:
    clock = [0.0]
    rates = Rates(lambda: clock[0])
    key = issue_key("", ["segment"], requests_per_minute=60).record

    standings = [rates.count(key) for _ in range(61)]
    assert [each is not None and each.is_exceeded for each in standings] == [False] * 60 + [True]
    assert standings[-1] is not None
    assert standings[-1].wait_s == pytest.approx(1.0)

    answered = 0
    for _ in range(600):  # a tenth of a second each: 60 s in all
        clock[0] += 0.1
        standing = rates.count(key)
        answered += standing is not None and not standing.is_exceeded
    assert answered == 60


def test_keys_do_not_share_a_rate() -> None:
    rates = Rates(lambda: 0.0)
    first, second = (issue_key("", ["segment"], requests_per_minute=1).record for _ in range(2))
    free = issue_key("", ["segment"]).record

    found = [rates.count(each) for each in (first, second, first)]

    assert [each is not None and each.is_exceeded for each in found] == [False, False, True]
    assert rates.count(free) is None

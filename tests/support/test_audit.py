"""Who changed what, and who made what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from lerenet.errors import QuotaExceeded, UnknownClass
from lerenet.observability.caller import Caller, called_by
from lerenet.observability.request_id import request_context
from lerenet.support import (
    AuditTrail,
    Ownership,
    ParameterChanges,
    RegistryChange,
    SqliteStore,
    SupportRegistry,
    read_trail,
)
from lerenet.support.layout import Layout
from support.classes import CountingNetwork, Encoded, files_under, open_registry, shots

ENGINEER = Caller("lere_00000001", max_classes=2)


def watched(root: Path, network: CountingNetwork) -> SupportRegistry[Encoded]:
    """A registry with a trail and owners, as the service has."""
    layout = Layout(root)
    ownership = Ownership(layout.owners, layout.unfinished)
    return open_registry(root, network, listeners=(ownership.note, AuditTrail(layout.audit).note), ownership=ownership)


@pytest.fixture
async def registry(root: Path, network: CountingNetwork) -> AsyncIterator[SupportRegistry[Encoded]]:
    opened = watched(root, network)
    yield opened
    await opened.close()


async def test_every_change_leaves_one_line_with_who_what_when(registry: SupportRegistry[Encoded], root: Path) -> None:
    with structlog.testing.capture_logs() as events, request_context("line-3"), called_by(ENGINEER):
        first = (await registry.create("a", shots(1, 2))).registered.record.revision
        await registry.create("a", shots(1, 2))  # nothing new
        second = (await registry.append("a", shots(3))).registered.record.revision
        third = (await registry.drop_shot("a", 0)).registered.record.revision
        fourth = (await registry.patch("a", ParameterChanges(threshold=0.4))).registered.record.revision
        fifth = (await registry.put("a", shots(4))).registered.record.revision
        await registry.delete("a")
        with pytest.raises(UnknownClass):
            await registry.delete("a")

    lines = list(read_trail(Layout(root).audit))
    assert [(line["what"], line["before"], line["after"]) for line in lines] == [
        ("create", None, first),
        ("append", first, second),
        ("drop_shot", second, third),
        ("patch", third, fourth),
        ("put", fourth, fifth),
        ("delete", fifth, None),
    ]
    assert {(line["who"], line["class"], line["request_id"]) for line in lines} == {(ENGINEER.name, "a", "line-3")}
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert [event["what"] for event in events if event["event"] == "registry change"] == [
        line["what"] for line in lines
    ]


async def test_a_change_without_a_key_is_anonymous(registry: SupportRegistry[Encoded], root: Path) -> None:
    await registry.create("a", shots(1))

    [line] = read_trail(Layout(root).audit)
    assert (line["who"], line["request_id"]) == ("anonymous", None)


async def test_a_change_whose_caller_left_is_noted(
    root: Path, network: CountingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = watched(root, network)
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop, commit = asyncio.get_running_loop(), SqliteStore.commit

    def slow(*args: object, **kwargs: object) -> bool:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return commit(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteStore, "commit", slow)
    with called_by(ENGINEER):
        task = asyncio.create_task(registry.create("a", shots(1)))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go_on.set()
    await registry.close()

    assert [(line["what"], line["who"]) for line in read_trail(Layout(root).audit)] == [("create", ENGINEER.name)]


async def test_a_trail_that_cannot_be_written_fails_nobody(registry: SupportRegistry[Encoded], root: Path) -> None:
    Layout(root).audit.write_text("in the way")

    with structlog.testing.capture_logs() as events:
        await registry.create("a", shots(1))

    assert "a change was stored, but not noted everywhere" in {event["event"] for event in events}
    assert await registry.count() == 1


def test_a_trail_turns_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lerenet.support.audit.FILE_BYTES", 400)
    trail = AuditTrail(tmp_path / "audit")
    for i in range(40):
        trail.note(RegistryChange("patch", f"class-{i}", "0" * 16, "1" * 16))

    names = [line["class"] for line in read_trail(tmp_path / "audit")]
    assert len(list((tmp_path / "audit").iterdir())) == 10
    assert all(path.stat().st_size <= 400 for path in (tmp_path / "audit").iterdir())
    assert names == [f"class-{i}" for i in range(40 - len(names), 40)]


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "audit")
    trail.note(RegistryChange("create", "a", None, "0" * 16))
    with (tmp_path / "audit" / "audit.jsonl").open("a") as file:
        file.write('{"time": "20')

    assert [line["class"] for line in read_trail(tmp_path / "audit")] == ["a"]


async def test_a_quota_counts_the_classes_that_are_there(
    registry: SupportRegistry[Encoded], root: Path, network: CountingNetwork
) -> None:
    await registry.create("of-nobody", shots(1))
    with called_by(ENGINEER):
        for name in ("a", "b"):
            await registry.create(name, shots(1))
        with pytest.raises(QuotaExceeded, match="2 classes were made with the key lere_00000001"):
            await registry.create("c", shots(1))
        with pytest.raises(QuotaExceeded):
            await registry.put("c", shots(1))
        await registry.put("of-nobody", shots(2))  # not made by them
    await registry.delete("a")  # by the operator

    again = watched(root, network)
    with called_by(ENGINEER):
        await again.create("c", shots(1))
        with pytest.raises(QuotaExceeded):
            await again.create("a", shots(1))
    with called_by(Caller("lere_00000002", max_classes=1)):
        await again.create("a", shots(1))
    await again.close()


async def test_a_quota_holds_when_all_come_at_once(registry: SupportRegistry[Encoded]) -> None:
    with called_by(ENGINEER):
        made = await asyncio.gather(
            *(registry.create(f"class-{i}", shots(i)) for i in range(6)), return_exceptions=True
        )

    assert [isinstance(each, QuotaExceeded) for each in made].count(True) == 4
    assert await registry.count() == 2


def test_a_trail_whose_taking_was_cut_off_is_taken_again(root: Path) -> None:
    lines = [RegistryChange("create", name, None, "r").as_line() for name in "abc"]

    def cut_off() -> Iterator[dict[str, Any]]:
        yield lines[0]
        raise KeyboardInterrupt

    trail = AuditTrail(root)
    with pytest.raises(KeyboardInterrupt):
        trail.take(cut_off())
    assert trail.take(lines) == 3
    assert list(trail.read()) == lines
    assert files_under(root) == {"audit.jsonl"}
    assert trail.take(lines) == 0

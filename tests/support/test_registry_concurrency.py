from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lerenet.errors import ClassExists, PreconditionFailed, UnknownClass
from lerenet.support import Change, ParameterChanges, SupportRegistry
from support.classes import CountingNetwork, Encoded, files_under, open_registry, shots
from support.stores import Place, open_store

Registry = SupportRegistry[Encoded]


@pytest.fixture(params=["folder", "database"])
def place(request: pytest.FixtureRequest) -> Place:
    """Where the store lies."""
    found: Place = request.getfixturevalue("root" if request.param == "folder" else "database_url")
    return found


@pytest.fixture
async def registry(root: Path, place: Place, network: CountingNetwork) -> AsyncIterator[Registry]:
    opened = open_registry(root, network, store=open_store(place))
    yield opened
    await opened.close()


async def until(network: CountingNetwork, n_encoded: int) -> None:
    async with asyncio.timeout(5):
        while network.n_encoded < n_encoded:
            await asyncio.sleep(0.001)


async def test_one_of_many_creates_wins_when_contents_differ(registry: Registry, network: CountingNetwork) -> None:
    outcomes = await asyncio.gather(*(registry.create("a", shots(seed)) for seed in range(20)), return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, Change)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, ClassExists) for outcome in outcomes) == 19
    assert (await registry.get("a")) == winners[0].registered
    assert network.n_encoded == 1


async def test_one_of_many_creates_works_when_contents_agree(registry: Registry, network: CountingNetwork) -> None:
    outcomes = await asyncio.gather(*(registry.create("a", shots(1)) for _ in range(20)))
    assert sum(outcome.is_created for outcome in outcomes) == 1
    assert len({outcome.registered.record.revision for outcome in outcomes}) == 1
    assert (network.n_encoded, network.n_assessed) == (1, 1)


async def test_one_content_under_many_names_is_encoded_once(registry: Registry, network: CountingNetwork) -> None:
    network.gate = asyncio.Event()
    creating = [asyncio.create_task(registry.create(f"c{i}", shots(1))) for i in range(10)]
    await until(network, 1)
    await asyncio.sleep(0.05)
    network.gate.set()
    assert all(change.is_created for change in await asyncio.gather(*creating))
    assert network.n_encoded == 1


async def test_class_is_not_visible_before_it_is_ready(registry: Registry, network: CountingNetwork) -> None:
    network.gate = asyncio.Event()
    creating = asyncio.create_task(registry.create("a", shots(1)))
    await until(network, 1)
    assert (await registry.list()).classes == ()
    with pytest.raises(UnknownClass):
        await registry.get("a")
    network.gate.set()
    await creating
    assert (await registry.get("a")).is_ready


async def test_old_revision_serves_while_the_next_is_encoded(registry: Registry, network: CountingNetwork) -> None:
    await registry.create("a", shots(1))
    network.gate = asyncio.Event()
    appending = asyncio.create_task(registry.append("a", shots(2)))
    await until(network, 2)
    assert [found.encoding.n_shots for found in await registry.resolve()] == [1]
    network.gate.set()
    await appending
    assert [found.encoding.n_shots for found in await registry.resolve()] == [2]


async def test_first_requests_under_new_weights_share_one_encoding(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    await registry.create("a", shots(1))
    await registry.close()
    newer = CountingNetwork(gate=asyncio.Event())
    registry = open_registry(root, newer, weights="w2")
    resolving = [asyncio.create_task(registry.resolve()) for _ in range(20)]
    await until(newer, 1)
    await asyncio.sleep(0.05)
    assert newer.gate is not None
    newer.gate.set()
    assert len({found.encoding for (found,) in await asyncio.gather(*resolving)}) == 1
    assert (newer.n_encoded, newer.n_assessed) == (1, 1)
    await registry.close()


async def test_appends_at_once_all_arrive(registry: Registry) -> None:
    await registry.create("a", shots(0))
    await asyncio.gather(*(registry.append("a", shots(seed)) for seed in range(1, 11)))
    assert len((await registry.get("a")).record.shots) == 11


async def test_one_of_many_writes_at_one_revision_wins(registry: Registry) -> None:
    revision = (await registry.create("a", shots(0))).registered.record.revision
    outcomes = await asyncio.gather(
        *(registry.put("a", shots(seed), if_match=revision) for seed in range(1, 21)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Change) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 19


async def test_writers_in_two_processes_lose_nothing(root: Path, place: Place, network: CountingNetwork) -> None:
    one = open_registry(root, network, store=open_store(place))
    two = open_registry(root, CountingNetwork(), store=open_store(place))
    await one.create("a", shots(0))
    await asyncio.gather(*((one, two)[seed % 2].append("a", shots(seed)) for seed in range(1, 7)))
    assert len((await one.get("a")).record.shots) == 7
    await one.close()
    await two.close()


async def test_write_starts_again_when_another_process_was_quicker(
    root: Path, place: Place, network: CountingNetwork
) -> None:
    network.gate = asyncio.Event()
    network.gate.set()
    one = open_registry(root, network, store=open_store(place))
    two = open_registry(root, CountingNetwork(), store=open_store(place))
    await one.create("a", shots(0))
    network.gate.clear()
    slow = asyncio.create_task(one.append("a", shots(1)))
    await until(network, 2)
    await two.patch("a", ParameterChanges(description="meanwhile"))
    network.gate.set()
    record = (await slow).registered.record
    assert record.parameters.description == "meanwhile"
    assert len(record.shots) == 2
    # the second attempt has the same content, so its prototypes were there
    assert network.n_encoded == 2
    await one.close()
    await two.close()


async def test_prototypes_outlast_other_writes_until_their_class_is_there(
    registry: Registry, network: CountingNetwork, root: Path
) -> None:
    await registry.create("a", shots(1))
    network.assess_gate = asyncio.Event()
    creating = asyncio.create_task(registry.create("b", shots(2)))
    async with asyncio.timeout(5):
        while network.n_assessed < 2:
            await asyncio.sleep(0.001)
    # each write drops prototypes that no class has, and those of `b` belong to none yet
    await registry.delete("a")
    network.assess_gate.set()
    await creating
    assert len(files_under(root / "prototypes")) == 1
    await registry.resolve(["b"])
    assert network.n_encoded == 2


async def test_encoding_is_not_lost_when_its_caller_leaves(registry: Registry, network: CountingNetwork) -> None:
    network.gate = asyncio.Event()
    creating = asyncio.create_task(registry.create("a", shots(1)))
    await until(network, 1)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    network.gate.set()
    assert await registry.count() == 0
    assert (await registry.create("a", shots(1))).is_created
    assert network.n_encoded == 1


async def test_class_deleted_under_way_leaves_the_others_of_a_request(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    await registry.create("a", shots(1))
    await registry.create("b", shots(2))
    await registry.close()
    newer = CountingNetwork(gate=asyncio.Event())
    registry = open_registry(root, newer, weights="w2")
    resolving = asyncio.create_task(registry.resolve())
    await until(newer, 1)
    await registry.delete("b")
    assert newer.gate is not None
    newer.gate.set()
    assert [found.record.name for found in await resolving] == ["a"]
    await registry.close()


async def test_closing_ends_what_waits_for_an_encoding(root: Path) -> None:
    network = CountingNetwork(gate=asyncio.Event())
    registry = open_registry(root, network)
    creating = asyncio.create_task(registry.create("a", shots(1)))
    await until(network, 1)
    await registry.close()
    with pytest.raises(asyncio.CancelledError):
        await creating

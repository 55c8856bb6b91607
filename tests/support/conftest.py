"""A store, a counting network and a registry in an empty folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lerenet.support import SqliteStore, SupportRegistry
from support.classes import CountingNetwork, Encoded, open_registry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(root: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(root)
    yield opened
    opened.close()


@pytest.fixture
def network() -> CountingNetwork:
    return CountingNetwork()


@pytest.fixture
async def registry(root: Path, network: CountingNetwork) -> AsyncIterator[SupportRegistry[Encoded]]:
    opened = open_registry(root, network)
    yield opened
    await opened.close()

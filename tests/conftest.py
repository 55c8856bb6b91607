"""Fixtures that more than one room uses: tiny weights, settings, and clients of running applications."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

import databases
from builders import tiny_network
from fakes import LevelSegmenter, engine_with
from folders import write_packs
from lerenet.network import save_weights
from lerenet.runtime.engine import Engine
from lerenet.settings import Settings
from serving import AppClient, running_client

ClientFactory = Callable[..., Coroutine[Any, Any, AppClient]]


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Without this, structlog paints every traceback with all local variables, arrays among them."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture(scope="session", autouse=True)
def _few_fitting_steps() -> Iterator[None]:
    """A class is fitted to its shots in three steps instead of thirty, each as whole; `test_fitting` knows more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lerenet.inference.fitting.N_STEPS", 3)
        yield


@pytest.fixture
def _no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training runs draw no curves, which take longer than a few steps of a tiny network."""
    monkeypatch.setattr("lerenet.training.loop.plot_curves", lambda rows, path: None)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a tiny network with random parameters."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(tiny_network(), path)
    return path


@pytest.fixture(scope="session")
def postgres() -> databases.Server:
    """The PostgreSQL server of this test run."""
    return databases.server_of_this_run()


@pytest.fixture(scope="session")
def _worker_database(postgres: databases.Server) -> str:
    return databases.make_registry_database(postgres, f"lerenet_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")


@pytest.fixture
def database_url(_worker_database: str) -> str:
    """Address of a database with the registry's tables, and nothing in them."""
    databases.empty(_worker_database)
    return _worker_database


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """A folder of packs; see `folders.write_packs`."""
    root = tmp_path / "plates"
    write_packs(root)
    return root


@pytest.fixture
def make_settings(tmp_path: Path, tiny_weights: Path) -> Callable[..., Settings]:
    """Settings for a registry of the test's own on the CPU, with whatever else the test says."""

    def make(**fields: object) -> Settings:
        defaults = {"data_dir": tmp_path / "data", "weights": tiny_weights, "device": "cpu", "threads": 1}
        return Settings.model_validate({**defaults, **fields})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings for a registry of the test's own on the CPU."""
    return make_settings()


@pytest.fixture
async def client_factory() -> AsyncIterator[ClientFactory]:
    """Starts applications from settings, without a network unless `build` says otherwise; stops them at the end."""
    async with AsyncExitStack() as stack:

        async def start(
            settings: Settings, build: Callable[[Settings], Engine] | None = None, *, until_ready: bool = True
        ) -> AppClient:
            engine = engine_with(LevelSegmenter()) if build is None else build
            return await stack.enter_async_context(running_client(settings, build=engine, until_ready=until_ready))

        yield start


@pytest.fixture
async def client(client_factory: ClientFactory, settings: Settings) -> AppClient:
    """A client of an application that finds grey levels; see `fakes.LevelSegmenter`."""
    return await client_factory(settings)

"""A browser, and an application that it can reach; without playwright or a browser, tests of the page are skipped."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from fakes import engine_with
from lerenet.api import create_app
from lerenet.settings import Settings
from page.browsing import User
from page.metal import LearningSegmenter

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1360, "height": 820}}

NewUser = Callable[..., User]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium. By module, since no other test can have an event loop while it is there."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"none of these browsers is on the PATH: {', '.join(BROWSERS)}")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield launched
        launched.close()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The application on a free port, in a thread; its address."""
    app = create_app(settings, build=engine_with(LearningSegmenter()))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server has not started"
            time.sleep(0.01)
        [socket] = server.servers[0].sockets
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service that runs for all tests of a module."""
    fields = {"data_dir": tmp_path_factory.mktemp("data"), "device": "cpu", "threads": 1}
    with serving(Settings.model_validate(fields)) as address:
        yield address


@pytest.fixture
def url(address: str) -> Iterator[str]:
    """Of a service without a class."""
    yield address
    for each in httpx.get(f"{address}/support").json()["classes"]:
        httpx.delete(f"{address}/support/{each['name']}")


@pytest.fixture
def prefixed(make_settings: Callable[..., Settings]) -> Iterator[str]:
    """Of a service that a proxy publishes under a prefix."""
    with serving(make_settings(root_path="/plant/lerenet")) as address:
        yield f"{address}/plant/lerenet"


@pytest.fixture
def new_user(browser: Browser, url: str) -> Iterator[NewUser]:
    """Opens the page, by default on a desktop in daylight; at the end the browser must have had nothing to complain."""
    contexts, users = [], []

    def make(*, is_open: bool = True, **options: Any) -> User:
        context = browser.new_context(**{**DESKTOP, **options})
        contexts.append(context)
        users.append(User(context.new_page(), url))
        if is_open:
            users[-1].open()
        return users[-1]

    yield make
    for context in contexts:
        context.close()
    assert [complaint for user in users for complaint in user.complaints] == []


@pytest.fixture
def user(new_user: NewUser) -> User:
    """Somebody who has just opened the page."""
    return new_user()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where plates are written."""
    return tmp_path / "plates"

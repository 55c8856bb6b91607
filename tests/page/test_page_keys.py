"""The page before a service that wants a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from api.keys import headers, issued, write_keys
from lerenet.settings import Settings
from page.conftest import serving
from page.metal import FRAMES, SHOTS, write

if TYPE_CHECKING:
    from page.browsing import User
    from page.conftest import NewUser

ENGINEER, LINE = issued("register", "segment"), issued("segment")


@pytest.fixture
def guarded(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[str]:
    """Of a service that wants a key."""
    path = write_keys(tmp_path / "keys.json", [ENGINEER.record, LINE.record])
    with serving(make_settings(api_keys_file=path, weights=None)) as address:
        yield address


@pytest.fixture
def stranger(new_user: NewUser, guarded: str) -> User:
    """Somebody who opens the page without a key, and is asked for one."""
    user = new_user(is_open=False)
    user.url = guarded
    user.page.goto(guarded)
    user.page.wait_for_selector("#key-dialog[open]")
    return user


def give(user: User, key: str) -> None:
    user.page.fill("#key", key)
    user.page.click("#key-dialog >> text=Use key")


def test_a_class_is_taught_then_found_with_a_key(stranger: User, guarded: str, folder: Path) -> None:
    give(stranger, ENGINEER.secret)
    stranger.page.wait_for_selector('#status-light[data-state="ready"]')
    stranger.add_images(write(folder, SHOTS[:1], "shot"))
    stranger.paint(SHOTS[0][1])
    stranger.register("scratches")
    stranger.segment(write(folder, FRAMES[:1], "frame"))

    assert stranger.drawn(0).any()
    assert stranger.page.locator(".problem").count() == 0
    assert len(httpx.get(f"{guarded}/support", headers=headers(ENGINEER)).json()["classes"]) == 1


def test_a_wrong_key_is_told_in_the_services_words(stranger: User) -> None:
    give(stranger, "lere_00000000_wrong")
    stranger.page.wait_for_selector(".problem")

    assert "unauthorized" in stranger.page.inner_text(".problem")


def test_a_key_without_the_scope_is_told_which_it_needs(stranger: User, folder: Path) -> None:
    give(stranger, LINE.secret)
    stranger.page.wait_for_selector('#status-light[data-state="ready"]')
    stranger.add_images(write(folder, SHOTS[:1], "shot"))
    stranger.paint(SHOTS[0][1])
    stranger.page.fill("#name", "scratches")
    stranger.page.click("#register-button")
    stranger.page.wait_for_selector(".problem")

    assert "`register`" in stranger.page.inner_text(".problem")

"""The way of an engineer over the page, with pictures of it.

The pictures lie in the test's own folder, or under the one that LERENET_TEST_SCREENSHOTS names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from page.metal import FALSE_ALARM, FRAMES, SHOTS, write

if TYPE_CHECKING:
    from page.browsing import User
    from page.conftest import NewUser

NAME = "scratches"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "tablet": {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True},
}

Snap = Callable[["User", str], None]


@pytest.fixture
def snap(tmp_path: Path) -> Snap:
    folder = Path(os.environ.get("LERENET_TEST_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def take(user: User, name: str) -> None:
        user.settle()
        user.page.screenshot(path=folder / f"{name}.png")

    return take


def classes(url: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = httpx.get(f"{url}/support").json()["classes"]
    return listed


@pytest.mark.parametrize("look", LOOKS)
def test_a_defect_is_marked_found_and_a_false_alarm_taught_away(
    new_user: NewUser, url: str, folder: Path, snap: Snap, look: str
) -> None:
    user = new_user(**LOOKS[look])
    page = user.page
    snap(user, f"{look}-1-empty")
    assert page.is_visible("#choose-images")

    user.add_images(write(folder, SHOTS, "plate"))
    for place, (_, mask) in enumerate(SHOTS):
        user.open_image(place)
        user.paint(mask, 5 if look == "light" else 9)
    snap(user, f"{look}-2-painting")

    user.register(NAME)
    page.click(f"#open-{NAME}")
    page.wait_for_selector(f"#class-{NAME} canvas >> nth=2")
    snap(user, f"{look}-3-registered")
    [registered] = classes(url)
    assert [shot["index"] for shot in registered["shots"]] == [0, 1, 2]

    user.segment(write(folder, FRAMES, "frame"))
    marked = [int(user.shown(place, NAME).sum()) for place in range(len(FRAMES))]
    assert [area > 0 for area in marked] == [True, True, False, True, True, True]
    page.click("#view-all")
    snap(user, f"{look}-4-six-frames")
    user.open_frame(3)
    snap(user, f"{look}-5-overlay")

    user.move_threshold(NAME, 0.2)
    user.wait_until_scored()
    snap(user, f"{look}-6-threshold-moved")
    assert user.shown(3, NAME).sum() > marked[3]
    page.click(f"#back-{NAME}")

    user.open_frame(FALSE_ALARM)
    page.click(f"#alarm-{NAME}")
    snap(user, f"{look}-7-false-alarm")
    page.click("#confirm-yes")
    page.wait_for_selector("text=1 clean")
    user.wait_until_scored()
    snap(user, f"{look}-8-taught-away")
    assert not user.shown(FALSE_ALARM, NAME).any()
    assert user.shown(0, NAME).any()
    assert classes(url)[0]["normals"] == 1

    user.segment([_text_file(folder)])
    page.wait_for_selector(".problem")
    snap(user, f"{look}-9-refused")
    assert "not a JPEG, PNG, BMP or TIFF" in page.inner_text(".problem p")


def _text_file(folder: Path) -> Path:
    path = folder / "notes.png"
    path.write_text("no image at all")
    return path

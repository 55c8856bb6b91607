"""What is painted is stored, and what is shown is what the service answers, pixel for pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from lerenet.imaging import ImageLimits, Mask, decode_mask, encode_image_png
from lerenet.imaging.masks import threshold_level
from page.metal import FRAMES, SHOTS, write

if TYPE_CHECKING:
    from page.browsing import User

LIMITS = ImageLimits()
NAME = "scratches"


def stored_mask(url: str, index: int = 0) -> Mask:
    return decode_mask(httpx.get(f"{url}/support/{NAME}/shots/{index}/mask").content, LIMITS)


def answered_mask(url: str, frame: Path, **parameters: float) -> Mask:
    """The service's own mask, and no map that is cut here."""
    files, headers = [("images", frame.read_bytes())], {"Accept": "image/png"}
    response = httpx.post(f"{url}/segment", params={"classes": NAME, **parameters}, files=files, headers=headers)
    assert response.status_code == 200, response.text
    return decode_mask(response.content, LIMITS)


def test_the_painted_mask_is_stored_pixel_for_pixel(user: User, url: str, folder: Path) -> None:
    user.add_images(write(folder, SHOTS[:1], "shot"))
    user.tool("brush", 9)
    user.drag([(30, 40), (90, 55), (120, 30)])
    user.drag([(-20, 100), (60, 104.3)])  # from outside the image
    user.tool("polygon")
    user.click_corners([(120, 120), (180, 131), (150, 185), (140, 150)])
    user.tool("erase", 4)
    user.drag([(20, 20), (100, 80)])
    user.tool("brush", 1)
    user.drag([(5, 190), (60, 150)])
    painted = user.painted()

    user.register(NAME)

    assert 0.05 < painted.mean() < 0.5
    np.testing.assert_array_equal(stored_mask(url), painted)


def test_tools_mark_the_pixels_that_geometry_says(user: User, folder: Path) -> None:
    user.add_images(write(folder, SHOTS[:1], "shot"))
    user.tool("brush", 1)
    user.drag([(7.5, 3.5)])
    user.tool("polygon")
    user.click_corners([(20, 10), (50, 10), (50, 30), (20, 30)])
    user.tool("brush", 10)
    user.drag([(100, 100), (140, 100)])
    y, x = np.mgrid[:200, :200] + 0.5
    expected = np.hypot(x - np.clip(x, 100, 140), y - 100) <= 5
    expected[10:30, 20:50] = True
    expected[3, 7] = True

    painted = user.painted() == 1

    differing = np.argwhere(painted != expected)
    assert len(differing) <= 4, differing  # a pointer rests on whole pixels of the screen, 2.6 of which make one here


def test_undo_takes_back_stroke_by_stroke(user: User, folder: Path) -> None:
    user.add_images(write(folder, SHOTS[:1], "shot"))
    states = [user.painted()]
    for y in (40, 80, 120):
        user.drag([(30, y), (120, y + 20)])
        states.append(user.painted())
    user.page.click("#clear")

    for expected in reversed(states):
        user.page.keyboard.press("Control+z") if expected is states[1] else user.page.click("#undo")
        np.testing.assert_array_equal(user.painted(), expected)
    for expected in states[1:]:
        user.page.click("#redo")
        np.testing.assert_array_equal(user.painted(), expected)


def test_a_mask_can_be_painted_with_keys_alone(user: User, url: str, folder: Path) -> None:
    user.add_images(write(folder, SHOTS[:1], "shot"))
    user.page.focus("#teach-stage")
    for key in ("b", "ArrowRight", "Enter", *["Shift+ArrowRight"] * 3, "Enter", "e", "Shift+ArrowDown", "p", "Enter"):
        user.page.keyboard.press(key)
    for key in ("Shift+ArrowDown", "Enter", "Shift+ArrowRight", "Enter", "Enter"):
        user.page.keyboard.press(key)
    painted = user.painted()
    user.page.focus("#name")
    user.page.keyboard.type(NAME)
    user.page.keyboard.press("Enter")
    user.page.wait_for_selector("#registered:not([hidden])")

    assert painted[100, 101] == painted[100, 131] == 1
    np.testing.assert_array_equal(stored_mask(url), painted)


def registered(url: str, **fields: object) -> None:
    files = [("images", encode_image_png(image)) for image, _ in SHOTS]
    files += [("masks", encode_image_png(255 * mask)) for _, mask in SHOTS]
    response = httpx.post(f"{url}/support", data={"name": NAME, **fields}, files=files)
    assert response.status_code == 201, response.text


@pytest.fixture
def rough(folder: Path) -> Path:
    """A frame whose probability map has every value, in regions of every size."""
    rng = np.random.default_rng(5)
    coarse = rng.uniform(120, 255, (26, 31)).repeat(8, 0).repeat(8, 1)[:201, :243]
    image = (coarse + rng.normal(0, 12, coarse.shape)).clip(0, 255).astype(np.uint8)
    [path] = write(folder, [(image, np.zeros_like(image))], "rough")
    return path


def test_the_slider_shows_the_services_mask_at_every_threshold(user: User, url: str, rough: Path) -> None:
    registered(url)
    user.page.click("#reload-classes")
    user.segment([rough])

    for threshold in (0.0, 0.35, 0.6, 1.0):
        user.move_threshold(NAME, threshold)
        at_once = user.shown(0, NAME)
        user.wait_until_scored()
        settled = user.shown(0, NAME)

        np.testing.assert_array_equal(settled, answered_mask(url, rough, threshold=threshold))
        np.testing.assert_array_equal(user.drawn(0), settled)
        if threshold != 0.6:  # there the answer is known already
            np.testing.assert_array_equal(at_once, answered_mask(url, rough, threshold=threshold, min_score=0))


def test_small_and_unsure_regions_are_left_out_as_the_service_leaves_them_out(
    user: User, url: str, rough: Path
) -> None:
    registered(url, min_area_px=40, min_score=0.5)
    user.page.click("#reload-classes")
    user.segment([rough])

    for threshold in (0.6, 0.75):
        user.move_threshold(NAME, threshold)
        user.wait_until_scored()
        expected = answered_mask(url, rough, threshold=threshold)

        np.testing.assert_array_equal(user.shown(0, NAME), expected)
        assert 0 < expected.sum() < answered_mask(url, rough, threshold=threshold, min_area_px=0, min_score=0).sum()


def test_levels_of_thresholds_are_the_services(user: User) -> None:
    script = """async () => {
      const { thresholdLevel } = await import('./static/regions.js');
      return Array.from({ length: 1001 }, (_, i) => thresholdLevel(i / 1000));
    }"""

    assert user.page.evaluate(script) == [threshold_level(i / 1000) for i in range(1001)]


def test_downloads_are_what_is_shown(user: User, url: str, folder: Path) -> None:
    registered(url)
    user.page.click("#reload-classes")
    frames = write(folder, FRAMES[:1], "frame")
    user.segment(frames)

    with user.page.expect_download() as mask:
        user.page.click("text=Mask PNG")
    with user.page.expect_download() as document:
        user.page.click("#save-json")
    with user.page.expect_download() as overlay:
        user.page.click("#save-overlay")

    np.testing.assert_array_equal(decode_mask(mask.value.path().read_bytes(), LIMITS), user.shown(0, NAME))
    assert f'"{NAME}"' in document.value.path().read_text()
    assert mask.value.suggested_filename == "frame_01.scratches.mask.png"
    assert overlay.value.path().read_bytes().startswith(b"\x89PNG")

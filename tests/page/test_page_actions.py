from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from lerenet.imaging import ImageLimits, decode_mask, encode_image_png
from page.metal import FRAMES, SHOTS, write

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from page.browsing import User
    from page.conftest import NewUser

NAME = "scratches"


def get(url: str) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{url}/support/{NAME}").json()
    return body


@pytest.fixture
def owner(user: User, url: str) -> User:
    """Somebody with a class of three shots, its details open."""
    files = [("images", encode_image_png(image)) for image, _ in SHOTS]
    files += [("masks", encode_image_png(255 * mask)) for _, mask in SHOTS]
    assert httpx.post(f"{url}/support", data={"name": NAME}, files=files).status_code == 201
    user.page.click("#reload-classes")
    user.page.click(f"#open-{NAME}")
    return user


def test_a_refusal_in_the_services_words_costs_no_work(user: User, url: str, folder: Path) -> None:
    user.add_images(write(folder, [*SHOTS[:1], FRAMES[2]], "shot"))
    user.page.check("#is-normal")
    user.open_image(0)
    user.drag([(60, 84), (80, 78)])
    user.page.fill("#name", "hair line")
    user.page.click("#register-button")

    shown = user.page.inner_text(".problem")
    assert "'hair line' cannot name a class. Use 1 to 64 letters" in shown
    assert "invalid_support" in shown
    user.register(NAME)  # what was painted is still there

    assert (len(get(url)["shots"]), get(url)["normals"]) == (1, 1)


def test_frames_before_any_class_show_what_the_service_asks_for(user: User, folder: Path) -> None:
    user.page.click("#mode-segment")
    user.page.set_input_files("#frame-input", [str(path) for path in write(folder, FRAMES[:2], "frame")])
    user.page.wait_for_selector(".problem")

    assert user.page.locator(".problem").count() == 1
    assert "no_support_classes" in user.page.inner_text(".problem")


def test_parameters_of_a_class_are_saved(owner: User, url: str) -> None:
    owner.page.fill(f"#threshold-{NAME}", "0.4")
    owner.page.fill(f"#min-area-{NAME}", "12")
    owner.page.fill(f"#description-{NAME}", "hairlines along the rolling direction")
    owner.page.click(f"#save-{NAME}")
    owner.page.wait_for_selector("text=threshold 0.40")

    saved = get(url)

    assert (saved["threshold"], saved["min_area_px"]) == (0.4, 12)
    assert saved["description"] == "hairlines along the rolling direction"


def test_a_corrected_mask_becomes_a_shot(owner: User, url: str, folder: Path) -> None:
    owner.segment(write(folder, FRAMES[:1], "frame"))
    found = owner.shown(0, NAME)
    owner.page.click(f"#correct-{NAME}")
    owner.settle()
    np.testing.assert_array_equal(owner.painted(), found)
    owner.tool("brush", 6)
    owner.drag([(150, 150), (170, 160)])
    corrected = owner.painted()
    owner.register()

    assert len(get(url)["shots"]) == 4
    stored = decode_mask(httpx.get(f"{url}/support/{NAME}/shots/3/mask").content, ImageLimits())
    np.testing.assert_array_equal(stored, corrected)
    assert corrected.sum() > found.sum()


def test_a_threshold_in_hand_is_saved_to_the_class(owner: User, url: str, folder: Path) -> None:
    owner.segment(write(folder, FRAMES[:1], "frame"))
    owner.move_threshold(NAME, 0.3)
    owner.page.click(f"#keep-{NAME}")
    owner.page.wait_for_selector("text=threshold 0.30")

    assert get(url)["threshold"] == 0.3


def test_a_bad_shot_is_dropped(owner: User, url: str) -> None:
    areas = [shot["area_px"] for shot in get(url)["shots"]]
    owner.page.click(f'[aria-label="Drop shot 2 of {NAME}"]')
    owner.page.click("#confirm-yes")
    owner.page.wait_for_selector("text=2 shots")

    assert [shot["area_px"] for shot in get(url)["shots"]] == [areas[0], areas[2]]


def test_a_class_is_deleted_once_it_is_confirmed(owner: User, url: str) -> None:
    owner.page.click(f"#delete-{NAME}")
    owner.page.click("#confirm >> text=Cancel")
    assert httpx.get(f"{url}/support/{NAME}").status_code == 200
    owner.page.click(f"#delete-{NAME}")
    owner.page.click("#confirm-yes")
    owner.page.wait_for_selector("#no-classes", state="visible")

    assert httpx.get(f"{url}/support/{NAME}").status_code == 404


def test_a_key_is_asked_for_once_when_the_service_wants_one(new_user: NewUser) -> None:
    user = new_user(is_open=False)

    def guard(route: Route) -> None:
        if route.request.headers.get("x-api-key") == "lere_right":
            route.continue_()
        else:
            problem = (
                '{"title": "No key, or a wrong one", "detail": "send a key", "code": "unauthorized", "errors": []}'
            )
            route.fulfill(status=401, body=problem, content_type="application/problem+json")

    user.page.route("**/support*", guard)
    user.page.route("**/version", guard)
    user.page.goto(user.url)
    user.page.wait_for_selector("#key-dialog[open]")
    assert "send a key" in user.page.inner_text("#key-detail")
    user.page.fill("#key", "lere_right")
    user.page.click("#key-dialog >> text=Use key")
    user.page.wait_for_selector('#status-light[data-state="ready"]')

    assert user.page.locator(".problem").count() == 0


def test_the_page_works_under_a_prefix(new_user: NewUser, prefixed: str) -> None:
    user = new_user(is_open=False)
    user.url = prefixed
    user.open("/")

    assert all(each.startswith(prefixed) for each in user.requested)


def test_one_finger_paints_while_two_zoom(new_user: NewUser, folder: Path) -> None:
    user = new_user(has_touch=True)
    user.add_images(write(folder, SHOTS[:1], "shot"))
    before = user.zoom()
    touch = user.page.context.new_cdp_session(user.page)
    for kind, places in [
        ("touchStart", [(620, 380)]),
        ("touchStart", [(620, 380), (700, 380)]),
        ("touchMove", [(600, 380), (720, 380)]),
        ("touchMove", [(570, 380), (750, 380)]),
        ("touchEnd", []),
    ]:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    user.settle()
    assert user.zoom() > 1.5 * before
    assert not user.painted().any()

    user.page.touchscreen.tap(660, 380)
    assert user.painted().any()


def test_the_page_keeps_to_itself_while_everything_has_a_name(owner: User, url: str, folder: Path) -> None:
    owner.add_images(write(folder, SHOTS[:1], "shot"))
    owner.segment(write(folder, FRAMES[:1], "frame"))
    script = """() => [...document.querySelectorAll('button, input, select, textarea, canvas[tabindex]')]
      .filter((each) => !(each.labels?.length || each.getAttribute('aria-label') || each.textContent.trim()))
      .map((each) => each.outerHTML)"""

    assert owner.page.evaluate(script) == []
    assert [each for each in owner.requested if not each.startswith((url, f"blob:{url}"))] == []

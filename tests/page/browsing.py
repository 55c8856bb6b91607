"""The page in a browser, in the words of its user."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lerenet.imaging import Mask

if TYPE_CHECKING:
    from playwright.sync_api import Page

Point = tuple[float, float]

WAIT_S = 20

WHERE = """async (kind) => {
  const { stage } = await import(`./static/${kind}_panel.js`);
  const box = stage.canvas.getBoundingClientRect();
  return [box.left + stage.x, box.top + stage.y, stage.scale];
}"""
PAINTED = """async (place) => {
  const { drafts } = await import('./static/drafts.js');
  const { mask } = place === null ? drafts.current : drafts.all[place];
  return [mask.height, mask.width, mask.values.join('')];
}"""
SHOWN = """async ([place, name]) => {
  const { frames, regionsOf } = await import('./static/frames.js');
  const { maskOf } = await import('./static/regions.js');
  const { height, width } = frames.all[place].picture;
  return [height, width, maskOf(regionsOf(frames.all[place], name).regions, height, width).join('')];
}"""
DRAWN = """async (place) => {
  const { frames } = await import('./static/frames.js');
  const { overlayOf } = await import('./static/segment_panel.js');
  const { canvas } = overlayOf(frames.all[place]);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, data.filter((_, i) => i % 4 === 3).map((alpha) => alpha ? 1 : 0).join('')];
}"""
SCORED = """async () => {
  const { frames, regionsOf, shownNames } = await import('./static/frames.js');
  return frames.all.length > 0 && !frames.progress
    && frames.all.every((frame) => frame.problem
      || shownNames(frame).length && shownNames(frame).every((name) => regionsOf(frame, name).isScored));
}"""


class User:
    """Somebody at the page.

    Attributes:
        page: The browser's tab.
        complaints: What the browser's console said in anger; refusals by the service are not among it.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requested: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.set_default_timeout(1000 * WAIT_S)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.url + path)
        self.page.wait_for_selector('#status-light[data-state="ready"]')

    def add_images(self, paths: Sequence[Path]) -> None:
        before = self.page.locator("#teach-strip .frame").count()
        self.page.set_input_files("#image-input", [str(path) for path in paths])
        self._until(f"() => document.querySelectorAll('#teach-strip .frame').length === {before + len(paths)}")
        self.settle()

    def open_image(self, place: int) -> None:
        self.page.locator("#teach-strip .frame .open").nth(place).click()
        self.settle()

    def tool(self, name: str, size_px: int | None = None) -> None:
        self.page.click(f'button[data-tool="{name}"]')
        if size_px is not None:
            script = "async (size) => (await import('./static/teach_panel.js')).tools.resize(size)"
            self.page.evaluate(script, size_px)

    def drag(self, points: Sequence[Point]) -> None:
        """Presses at the first point of the image, moves over the others, lets go."""
        places = self._places(points)
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def click_corners(self, points: Sequence[Point]) -> None:
        """A polygon, closed at its first corner."""
        for place in self._places([*points, points[0]]):
            self.page.mouse.click(*place)

    def paint(self, mask: Mask, size_px: int = 5) -> None:
        """Strokes over what a mask marks, as a hand would."""
        self.tool("brush", size_px)
        for y in range(size_px // 2, mask.shape[0], size_px // 2 + 1):
            for x0, x1 in _runs(mask[y]):
                if x1 - x0 >= size_px:
                    self.drag([(x0 + size_px / 2, y + 0.5), (x1 - size_px / 2, y + 0.5)])

    def painted(self, place: int | None = None) -> Mask:
        return _mask(self.page.evaluate(PAINTED, place))

    def register(self, name: str | None = None) -> None:
        if name is not None:
            self.page.fill("#name", name)
        self.page.click("#register-button")
        self.page.wait_for_selector("#registered:not([hidden])")

    def segment(self, paths: Sequence[Path]) -> None:
        self.page.click("#mode-segment")
        self.page.set_input_files("#frame-input", [str(path) for path in paths])
        self.wait_until_scored()

    def wait_until_scored(self) -> None:
        self._until(SCORED)
        self.settle()

    def open_frame(self, place: int) -> None:
        self.page.locator("#segment-strip .frame .open").nth(place).click()
        self.settle()

    def move_threshold(self, name: str, threshold: float) -> None:
        self.page.locator(f"#slider-{name}").fill(str(threshold))

    def shown(self, place: int, name: str) -> Mask:
        return _mask(self.page.evaluate(SHOWN, [place, name]))

    def drawn(self, place: int) -> Mask:
        return _mask(self.page.evaluate(DRAWN, place))

    def zoom(self) -> float:
        """Pixels of the screen per pixel of the image that is marked."""
        scale: float = self.page.evaluate(WHERE, "teach")[2]
        return scale

    def settle(self) -> None:
        """Until what was asked for has been drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _until(self, script: str) -> None:
        """Asks again and again; the browser's own waiting would be a breach of the page's policy."""
        deadline = time.monotonic() + WAIT_S
        while not self.page.evaluate(script):
            assert time.monotonic() < deadline, script
            self.page.wait_for_timeout(20)

    def _places(self, points: Sequence[Point]) -> list[Point]:
        left, top, scale = self.page.evaluate(WHERE, "teach")
        return [(left + x * scale, top + y * scale) for x, y in points]

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and "the server responded with a status of" not in text:
            self.complaints.append(text)


def _mask(sent: tuple[int, int, str]) -> Mask:
    height, width, values = sent
    return (np.frombuffer(values.encode(), np.uint8) - ord("0")).reshape(height, width)


def _runs(row: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]

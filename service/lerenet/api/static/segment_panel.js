// Frames with overlays of what was found: one on the stage, all in the strip, or all in a grid.

import { onChange } from "./changes.js";
import { usedClasses } from "./classes.js";
import { announce, byId, count, element, percent, replaceChildren } from "./dom.js";
import { addFrames, frames, openFrame, regionsOf, removeFrame, segmentAgain, segmentMissing, shownNames, stopSegmenting } from "./frames.js";
import { readPictures, takesFiles, thumbnail } from "./images.js";
import { paintOverlay } from "./overlay.js";
import { Stage } from "./stage.js";

const STRIP_PX = 84;
const GRID_PX = 240;

export const stage = new Stage(byId("segment-stage"));
const thumbs = new Map();

export function startSegmentPanel() {
  takesFiles({
    place: byId("segment"), button: byId("choose-frames"), input: byId("frame-input"), isOpen: () => !byId("segment").hidden,
  }, takeFrames);
  byId("opacity").addEventListener("input", () => {
    thumbs.clear();
    drawOne();
  });
  byId("again").addEventListener("click", () => segmentAgain());
  byId("segment-stop").addEventListener("click", stopSegmenting);
  byId("view-one").addEventListener("click", () => view("one"));
  byId("view-all").addEventListener("click", () => view("all"));
  onChange(["frames"], drawAll);
  onChange(["shown"], drawOne);
  onChange(["classes"], () => {
    drawAll();
    if (frames.all.length && usedClasses().length) segmentMissing();
  });
  drawAll();
}

export async function takeFrames(files) {
  addFrames(await readPictures(files));
  await segmentMissing();
  const nFound = frames.all.filter((frame) => found(frame).length).length;
  announce(`${frames.all.length} frames, defects in ${nFound}`);
}

export const opacity = () => byId("opacity").value / 100;

/** What is drawn on a frame, by class. */
export const visibleParts = (frame) =>
  shownNames(frame).filter((name) => !frames.hidden.has(name)).map((name) => ({ name, regions: regionsOf(frame, name).regions }));

/** The overlay of a frame as a layer of a picture. */
export function overlayOf(frame) {
  const { height, width } = frame.picture;
  return { canvas: paintOverlay(visibleParts(frame), height, width, opacity()), opacity: 1 };
}

function view(kind) {
  byId("segment").dataset.view = kind;
  byId("view-one").setAttribute("aria-pressed", kind === "one");
  byId("view-all").setAttribute("aria-pressed", kind === "all");
  drawAll();
}

/** The open frame at once; what it costs must keep up with a slider. */
function drawOne() {
  const frame = frames.current;
  byId("segment-empty").hidden = Boolean(frame);
  byId("opacity-percent").textContent = percent(opacity());
  if (!frame) {
    stage.show(null);
    return;
  }
  stage.canvas.setAttribute("aria-label", `${frame.picture.name}: ${caption(frame)}`);
  stage.show(frame.picture, frame.found.size ? [overlayOf(frame)] : []);
  thumbs.delete(frame);
  laterAll();
}

let due = null;

function laterAll() {
  clearTimeout(due);
  due = setTimeout(drawStrip, 200);
}

function drawAll() {
  thumbs.clear();
  drawOne();
  drawStrip();
  drawProgress();
}

function drawProgress() {
  const { progress } = frames;
  byId("segment-progress").hidden = !progress;
  byId("again").disabled = Boolean(progress) || !frames.all.length;
  if (!progress) return;
  Object.assign(byId("segment-bar"), { max: progress.n, value: progress.nDone });
  byId("segment-count").textContent = `${progress.nDone} of ${progress.n}`;
}

function drawStrip() {
  clearTimeout(due);
  const isGrid = byId("segment").dataset.view === "all";
  replaceChildren(byId("segment-strip"), frames.all.map((frame) => stripItem(frame, isGrid ? GRID_PX : STRIP_PX)),
    frames.all.length > 0 && element("button", { type: "button", className: "add", onclick: () => byId("frame-input").click() }, "Add frames"));
}

function found(frame) {
  return visibleParts(frame).filter(({ regions }) => regions.length);
}

function caption(frame) {
  if (frame.problem) return "refused";
  if (!frame.found.size) return "waiting";
  const parts = found(frame);
  if (!parts.length) return "nothing found";
  const areaOf = (regions) => `${count(regions.reduce((sum, each) => sum + each.areaPx, 0))} px`;
  return parts.map(({ name, regions }) => (usedClasses().length > 1 ? `${name} ${areaOf(regions)}` : areaOf(regions))).join(", ");
}

function stripItem(frame, sidePx) {
  const { id, name } = frame.picture;
  if (!thumbs.has(frame)) thumbs.set(frame, thumbnail(frame.picture, frame.found.size ? [overlayOf(frame)] : [], sidePx));
  return element("div", { className: "frame", "data-state": frame.problem ? "refused" : found(frame).length ? "found" : "" },
    element("button", { type: "button", id: `frame-${id}`, className: "open", "aria-current": frame === frames.current, onclick: () => choose(frame) },
      element("span", { className: "thumb" }, thumbs.get(frame)),
      element("span", { className: "caption" }, name), element("small", {}, caption(frame))),
    element("button", { type: "button", className: "plain remove", "aria-label": `Remove ${name}`, title: "Remove", onclick: () => removeFrame(frame) }, "×"));
}

function choose(frame) {
  openFrame(frame);
  view("one");
}

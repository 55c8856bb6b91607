// Beside the open frame: each class with its threshold, its regions, and what can be done about them.

import { changed, onChange } from "./changes.js";
import { classOf, classes, cssColour, moveThreshold, takeClass, thresholdOf } from "./classes.js";
import { announce, byId, confirmed, count, element, replaceChildren } from "./dom.js";
import { frames, regionsOf, segmentMissing, shownNames } from "./frames.js";
import { guarded } from "./notices.js";
import { service } from "./service.js";
import { stage } from "./segment_panel.js";
import { saveJson, saveMask, saveOverlay } from "./saving.js";

const SETTLED_MS = 350;
const MOST_LISTED = 50;

let correct = () => {};
let settling = null;
const blocks = new Map();

/** @param {(frame, name: string) => void} goCorrect opens the mask of a class on the marking bench */
export function startInspector(goCorrect) {
  correct = goCorrect;
  onChange(["frames", "classes", "shown"], draw);
  draw();
}

function draw() {
  const frame = frames.current;
  byId("inspector-title").textContent = frame ? frame.picture.name : "Found";
  if (!frame) {
    replaceChildren(byId("found"), element("p", { className: "hint" }, "No frame is open."));
    return;
  }
  const names = shownNames(frame);
  replaceChildren(byId("found"),
    element("p", { className: "hint" }, sizeOf(frame)),
    frame.problem && element("p", { className: "warning" }, `${frame.problem.title}: ${frame.problem.detail}`),
    !names.length && !frame.problem && element("p", { className: "hint" }, waitingFor()),
    names.map((name) => block(frame, name)),
    names.length > 0 && regionList(frame, names),
    names.length > 0 && downloads(frame));
}

const sizeOf = ({ picture: { height, width } }) => (height ? `${count(width)} × ${count(height)} px` : "size not known yet");

function waitingFor() {
  if (!classes.all.length) return "No class is registered: teach one first.";
  return frames.progress ? "Waiting for the service …" : "No class is chosen: tick one in the list.";
}

// The slider must stay the same element while it is dragged, so a block is made once and then only filled.
function block(frame, name) {
  if (!blocks.has(name)) blocks.set(name, makeBlock(name));
  const { root, fill } = blocks.get(name);
  fill(frame);
  return root;
}

function makeBlock(name) {
  const swatch = element("span", { className: "swatch" });
  const shown = element("input", { type: "checkbox", id: `shown-${name}`, onchange: () => show(name, shown.checked) });
  const score = element("p", { className: "hint" });
  const slider = element("input", { type: "range", id: `slider-${name}`, min: 0, max: 1, step: 0.01, oninput: () => move(name, slider.value) });
  const value = element("input", { type: "number", id: `value-${name}`, min: 0, max: 1, step: 0.01, "aria-label": `Threshold of ${name}`, onchange: () => move(name, value.value) });
  const keep = element("button", { type: "button", id: `keep-${name}`, onclick: () => keepThreshold(name) }, "Save to class");
  const back = element("button", { type: "button", id: `back-${name}`, className: "plain", onclick: () => move(name, classOf(name).threshold) }, "Reset");
  const moved = element("div", { className: "answers" }, back, keep);
  const root = element("section", { className: "block", "aria-label": name },
    element("label", { className: "inline name" }, shown, swatch, name), score,
    element("label", { className: "threshold" }, "Threshold", slider, value), moved,
    element("div", { className: "answers" },
      element("button", { type: "button", id: `correct-${name}`, onclick: () => correct(frames.current, name) }, "Correct mask"),
      element("button", { type: "button", id: `mask-${name}`, title: "The mask as it is shown, as a file", onclick: () => guarded(() => saveMask(frames.current, name)) }, "Mask PNG"),
      element("button", { type: "button", id: `alarm-${name}`, title: "This frame is free of the defect: teach it as clean", onclick: () => teachClean(name) }, "False alarm: add as clean")));
  const fill = (frame) => {
    swatch.style.background = cssColour(name);
    shown.checked = !frames.hidden.has(name);
    score.textContent = describe(frame, name);
    const threshold = thresholdOf(name);
    if (document.activeElement !== slider || Number(slider.value) !== threshold) slider.value = threshold;
    if (document.activeElement !== value) value.value = threshold.toFixed(2);
    moved.hidden = !classes.moved.has(name);
  };
  return { root, fill };
}

function describe(frame, name) {
  const { isScored, regions, areaPx, nLeftOut } = regionsOf(frame, name);
  const { answer } = frame.found.get(name);
  return [
    isScored ? `score ${answer.score.toFixed(2)}` : "scoring …",
    `${regions.length} region${regions.length === 1 ? "" : "s"}`,
    `${count(areaPx)} px`,
    nLeftOut ? `${nLeftOut} small or unsure left out` : "",
  ].filter(Boolean).join(" · ");
}

function show(name, isShown) {
  if (isShown) frames.hidden.delete(name);
  else frames.hidden.add(name);
  changed("frames");
}

function move(name, text) {
  const threshold = Number(text);
  if (text === "" || !(threshold >= 0 && threshold <= 1)) return;
  moveThreshold(name, threshold);
  clearTimeout(settling);
  settling = setTimeout(async () => { // which regions are sure enough, the service knows
    await segmentMissing();
    announce(frames.current ? `${name}: ${describe(frames.current, name)}` : "");
  }, SETTLED_MS);
}

async function keepThreshold(name) {
  await guarded(async () => {
    const body = await service.change(name, { threshold: thresholdOf(name) });
    classes.moved.delete(name);
    takeClass(body);
    announce(`Threshold of ${name} is saved`);
  }, name);
}

async function teachClean(name) {
  const { picture } = frames.current;
  const question = `Is ${picture.name} free of “${name}”? The whole frame is taught as clean, and the class is prepared anew.`;
  if (!(await confirmed(question, "Add as clean"))) return;
  const button = byId(`alarm-${name}`);
  Object.assign(button, { disabled: true, textContent: "Preparing the class …" });
  announce(`Preparing ${name} with a clean frame`);
  await guarded(async () => {
    takeClass(await service.append(name, { normals: [picture.file] }));
    announce(`${name} knows this frame as clean`);
  }, name);
  Object.assign(button, { disabled: false, textContent: "False alarm: add as clean" });
}

function regionList(frame, names) {
  const rows = names.filter((name) => !frames.hidden.has(name))
    .flatMap((name) => regionsOf(frame, name).regions.map((region) => ({ name, ...region })))
    .sort((a, b) => b.areaPx - a.areaPx);
  if (!rows.length) return null;
  const more = rows.length - MOST_LISTED;
  return element("table", { className: "regions" },
    element("caption", {}, "Regions"),
    element("thead", {}, element("tr", {}, ["Class", "Area, px", "Score", "Place"].map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, rows.slice(0, MOST_LISTED).map(regionRow),
      more > 0 && element("tr", {}, element("td", { colSpan: 4 }, `and ${count(more)} smaller ones`))));
}

function regionRow({ name, bbox, areaPx, score }, place) {
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = cssColour(name);
  const [x, y] = bbox;
  return element("tr", {},
    element("td", {}, swatch, name),
    element("td", {}, count(areaPx)),
    element("td", {}, score === null ? "…" : score.toFixed(2)),
    element("td", {}, element("button", {
      type: "button", id: `region-${place}`, className: "plain", "aria-label": `Show the region at ${x}, ${y}`, onclick: () => stage.showBox(bbox),
    }, `${x}, ${y}`)));
}

const downloads = (frame) => element("div", { className: "answers" },
  element("button", { type: "button", id: "save-overlay", onclick: () => guarded(() => saveOverlay(frame)) }, "Overlay PNG"),
  element("button", { type: "button", id: "save-json", onclick: () => guarded(() => saveJson(frame)) }, "JSON"));

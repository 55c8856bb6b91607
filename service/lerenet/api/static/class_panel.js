// The list of classes: which are used, and behind each its shots, parameters and end.

import { changed, onChange } from "./changes.js";
import { classes, cssColour, dropClass, loadClasses, shotOf, takeClass } from "./classes.js";
import { announce, byId, confirmed, count, element, percent, replaceChildren } from "./dom.js";
import { addDraft } from "./drafts.js";
import { thumbnail } from "./images.js";
import { guarded } from "./notices.js";
import { PaintedMask } from "./painting.js";
import { service } from "./service.js";

const THUMB_PX = 76;

const opened = new Set();
let teach = () => {};

/** @param {(name: string) => void} goTeach shows the marking bench with this class as target */
export function startClassPanel(goTeach) {
  teach = goTeach;
  byId("reload-classes").addEventListener("click", () => guarded(loadClasses));
  onChange(["classes"], draw);
}

function draw() {
  byId("no-classes").hidden = classes.all.length > 0;
  replaceChildren(byId("class-list"), classes.all.map(item));
}

function item(each) {
  const { name } = each;
  const isOpen = opened.has(name);
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = cssColour(name);
  const used = element("input", { type: "checkbox", id: `use-${name}`, checked: !classes.unused.has(name), title: "Search frames for it", onchange: () => use(name, used.checked) });
  const toggle = element("button", {
    type: "button", id: `open-${name}`, className: "plain", "aria-expanded": isOpen, "aria-controls": `class-${name}`,
    "aria-label": `${isOpen ? "Hide" : "Show"} ${name}`, onclick: () => open(name, !isOpen),
  }, isOpen ? "Hide" : "Show");
  return element("li", { className: "class" },
    element("div", { className: "heading" }, element("label", { className: "inline name" }, used, swatch, name), toggle),
    element("p", { className: "hint" }, summary(each)),
    isOpen && details(each));
}

function summary({ shots, normals, quality, threshold }) {
  return [
    `${shots.length} shot${shots.length === 1 ? "" : "s"}`,
    normals ? `${normals} clean` : "",
    quality ? `quality ${percent(quality.loo_iou)}` : "",
    `threshold ${threshold.toFixed(2)}`,
  ].filter(Boolean).join(" · ");
}

function use(name, isUsed) {
  if (isUsed) classes.unused.delete(name);
  else classes.unused.add(name);
  changed("classes");
}

function open(name, isOpen) {
  if (isOpen) opened.add(name);
  else opened.delete(name);
  draw();
}

function details(each) {
  const { name } = each;
  return element("div", { className: "details", id: `class-${name}` },
    element("ul", { className: "shots", "aria-label": `Shots of ${name}` }, each.shots.map((shot) => shotItem(each, shot))),
    parameters(each),
    element("p", { className: "hint" },
      each.quality ? `Quality: each shot is found by the others with an IoU of ${percent(each.quality.loo_iou)}. ` : "One shot: add a second one to learn how well they find each other. ",
      `Revision ${each.revision}, ${new Date(each.revised_at).toLocaleString()}.`),
    element("div", { className: "answers" },
      element("button", { type: "button", id: `add-${name}`, onclick: () => teach(name) }, "Add shots"),
      element("button", { type: "button", id: `delete-${name}`, className: "danger", onclick: () => forget(name) }, "Delete class")));
}

function shotItem(each, { index, area_px: areaPx }) {
  const picture = element("div", { className: "thumb" });
  shotOf(each, index).then(({ picture: shown, mask }) => {
    const canvas = thumbnail(shown, [{ canvas: mask.layer, opacity: 0.6 }], THUMB_PX);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Shot ${index + 1}, ${count(areaPx)} px marked`);
    picture.replaceChildren(canvas);
  }, () => picture.replaceChildren("not readable"));
  const label = `shot ${index + 1} of ${each.name}`;
  return element("li", {}, picture,
    element("small", {}, `${count(areaPx)} px`),
    element("div", { className: "answers" },
      element("button", { type: "button", className: "plain", "aria-label": `Copy ${label} to the bench`, title: "Mark it again, as a further shot", onclick: () => copy(each, index) }, "Edit"),
      each.shots.length > 1 && element("button", { type: "button", className: "plain", "aria-label": `Drop ${label}`, onclick: () => drop(each, index) }, "Drop")));
}

async function copy(each, index) {
  await guarded(async () => {
    const { picture, mask } = await shotOf(each, index);
    addDraft(picture, new PaintedMask(mask.height, mask.width, mask.values.slice()));
    teach(each.name);
  });
}

async function drop({ name }, index) {
  if (!(await confirmed(`Drop shot ${index + 1} of “${name}”? The class is prepared anew without it.`, "Drop shot"))) return;
  announce(`Preparing ${name} without shot ${index + 1}`);
  await guarded(async () => takeClass(await service.dropShot(name, index)), name);
}

async function forget(name) {
  if (!(await confirmed(`Delete the class “${name}” with all its shots?`, "Delete class"))) return;
  await guarded(async () => {
    await service.forget(name);
    dropClass(name);
    announce(`${name} is deleted`);
  }, name);
}

function parameters(each) {
  const { name } = each;
  const input = (field, properties) => element("input", { id: `${field}-${name}`, ...properties });
  const threshold = input("threshold", { type: "number", min: 0, max: 1, step: 0.01, value: String(each.threshold) });
  const minArea = input("min-area", { type: "number", min: 0, step: 1, value: String(each.min_area_px) });
  const minScore = input("min-score", { type: "number", min: 0, max: 1, step: 0.01, value: String(each.min_score) });
  const description = element("textarea", { id: `description-${name}`, rows: 2, maxLength: 2000, value: each.description });
  const save = () => guarded(async () => {
    const sent = { description: description.value };
    if (minArea.value !== String(each.min_area_px)) sent.min_area_px = Number(minArea.value);
    // Suggested values stay suggestions unless they were changed: they follow the shots.
    if (threshold.value !== String(each.threshold)) sent.threshold = threshold.value === "" ? null : Number(threshold.value);
    if (minScore.value !== String(each.min_score)) sent.min_score = minScore.value === "" ? null : Number(minScore.value);
    takeClass(await service.change(name, sent));
    announce(`${name} is saved`);
  }, name);
  return element("form", { className: "parameters", method: "dialog", noValidate: true, onsubmit: save },
    element("label", { title: "Probability from which a pixel is marked; empty for the suggested one" }, "Threshold", threshold),
    element("label", { title: "Regions of fewer pixels are left out" }, "Min. px", minArea),
    element("label", { title: "Regions less surely right are left out; empty for the suggested one" }, "Min. score", minScore),
    element("label", { className: "wide" }, "Description", description),
    element("button", { type: "submit", id: `save-${name}` }, "Save"));
}

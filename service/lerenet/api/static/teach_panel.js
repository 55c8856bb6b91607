// The marking bench: images on their way into a class, the tools, and the registration.

import { onChange } from "./changes.js";
import { classes, takeClass } from "./classes.js";
import { announce, byId, count, element, replaceChildren } from "./dom.js";
import { addDraft, draftFiles, drafts, isMarked, openDraft, removeDrafts, sortedDrafts } from "./drafts.js";
import { readPictures, takesFiles, thumbnail } from "./images.js";
import { guarded, showProblem } from "./notices.js";
import { service } from "./service.js";
import { Stage } from "./stage.js";
import { Tools } from "./tools.js";

const THUMB_PX = 84;
const MASK_OPACITY = 0.55;
const LARGEST_BRUSH_PX = 200;

export const stage = new Stage(byId("teach-stage"));
const mask = () => (drafts.current && !drafts.current.isNormal ? drafts.current.mask : null);
export const tools = new Tools(stage, { mask, onChange: drawMarks, onState: drawTools });

let preparation = null;

/** @param {() => void} goSegment shows the frames */
export function startTeachPanel(goSegment) {
  takesFiles({
    place: byId("teach"), button: byId("choose-images"), input: byId("image-input"), isOpen: () => !byId("teach").hidden,
  }, addImages);
  for (const button of document.querySelectorAll("button[data-tool]")) {
    button.addEventListener("click", () => tools.choose(button.dataset.tool));
  }
  // Small brushes matter most: the slider is finer there.
  byId("brush-size").addEventListener("input", ({ target }) => tools.resize(LARGEST_BRUSH_PX ** (target.value / 100)));
  byId("undo").addEventListener("click", () => tools.undo());
  byId("redo").addEventListener("click", () => tools.redo());
  byId("clear").addEventListener("click", () => tools.clear());
  byId("is-normal").addEventListener("change", ({ target }) => {
    drafts.current.isNormal = target.checked;
    draw();
  });
  stage.canvas.addEventListener("keydown", (event) => {
    if (event.key === "c" && !event.ctrlKey && !event.metaKey) byId("is-normal").click();
  });
  byId("target").addEventListener("change", drawForm);
  byId("register-form").addEventListener("submit", () => register(goSegment));
  byId("register-cancel").addEventListener("click", () => preparation?.abort());
  window.addEventListener("beforeunload", (event) => {
    if (drafts.all.some(isMarked)) event.preventDefault(); // marks live in this tab only
  });
  onChange(["drafts"], draw);
  onChange(["classes"], drawTargets);
  drawTargets();
  draw();
}

/** Chooses the class that the marked images go to. */
export function aimAt(name) {
  byId("target").value = name;
  drawForm();
}

async function addImages(files) {
  for (const picture of await readPictures(files)) {
    if (picture.bitmap) addDraft(picture);
    else showProblem(new Error("This browser cannot show the file, so it cannot be marked here. Convert it to PNG."), picture.name);
  }
}

function draw() {
  const draft = drafts.current;
  byId("teach-empty").hidden = Boolean(draft);
  byId("is-normal").checked = Boolean(draft?.isNormal);
  byId("is-normal").disabled = !draft;
  stage.canvas.setAttribute("aria-label", draft ? `${draft.picture.name}, ${state(draft)}` : "No image to mark");
  stage.show(draft?.picture ?? null, draft && !draft.isNormal ? [{ canvas: draft.mask.layer, opacity: MASK_OPACITY }] : []);
  drawMarks();
}

function drawMarks() {
  const shown = mask();
  byId("undo").disabled = !shown?.canUndo;
  byId("redo").disabled = !shown?.canRedo;
  byId("clear").disabled = !shown?.areaPx;
  replaceChildren(byId("teach-strip"), drafts.all.map(stripItem), drafts.all.length > 0 && addButton());
  drawForm();
}

function drawTools({ name, sizePx }) {
  for (const button of document.querySelectorAll("button[data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === name);
  }
  byId("brush-size").value = (100 * Math.log(sizePx)) / Math.log(LARGEST_BRUSH_PX);
  byId("brush-size-px").textContent = `${sizePx} px`;
}

function state(draft) {
  if (draft.isNormal) return "clean";
  return draft.mask.areaPx ? `${count(draft.mask.areaPx)} px` : "not marked";
}

function stripItem(draft) {
  const { id, name } = draft.picture;
  if (!draft.thumb || draft === drafts.current) { // no other has changed
    draft.thumb = thumbnail(draft.picture, isMarked(draft) ? [{ canvas: draft.mask.layer, opacity: 0.7 }] : [], THUMB_PX);
  }
  return element("div", { className: "frame", "data-state": draft.isNormal ? "clean" : isMarked(draft) ? "found" : "" },
    element("button", { type: "button", id: `draft-${id}`, className: "open", "aria-current": draft === drafts.current, onclick: () => openDraft(draft) },
      element("span", { className: "thumb" }, draft.thumb),
      element("span", { className: "caption" }, name), element("small", {}, state(draft))),
    element("button", { type: "button", className: "plain remove", "aria-label": `Remove ${name}`, title: "Remove", onclick: () => removeDrafts([draft]) }, "×"));
}

const addButton = () =>
  element("button", { type: "button", className: "add", onclick: () => byId("image-input").click() }, "Add images");

function drawTargets() {
  const select = byId("target");
  const chosen = select.value;
  select.replaceChildren(
    element("option", { value: "" }, "New class"),
    ...classes.all.map(({ name }) => element("option", { value: name }, `Add to ${name}`)));
  select.value = classes.all.some(({ name }) => name === chosen) ? chosen : "";
  drawForm();
}

function drawForm() {
  const target = byId("target").value;
  const { marked, normals, left } = sortedDrafts();
  const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  byId("name-field").hidden = byId("description-field").hidden = target !== "";
  byId("register-button").textContent = target ? `Add to ${target}` : "Register class";
  byId("register-button").disabled = Boolean(preparation) || !(marked.length || (target && normals.length));
  replaceChildren(byId("register-summary"),
    element("li", {}, marked.length ? `${plural(marked.length, "shot")} marked` : "No image is marked yet"),
    normals.length > 0 && element("li", {}, `${plural(normals.length, "image")} clean`),
    left.length > 0 && element("li", { className: "warning" }, `${plural(left.length, "image")} neither marked nor clean: left out`));
}

async function register(goSegment) {
  const target = byId("target").value;
  const name = target || byId("name").value.trim();
  const sent = sortedDrafts();
  preparation = new AbortController();
  const { signal } = preparation;
  const clock = showWaiting(name);
  await guarded(async () => {
    const files = await draftFiles(sent);
    const fields = target ? files : { ...files, name, description: byId("description").value };
    const body = await (target ? service.append(target, fields, signal) : service.register(fields, signal));
    takeClass(body);
    removeDrafts([...sent.marked, ...sent.normals]);
    byId("name").value = byId("description").value = "";
    showRegistered(body, goSegment);
  }, name);
  clearInterval(clock);
  preparation = null;
  byId("register-progress").hidden = true;
  drawForm();
}

// The service answers once the class is ready; until then there is only the clock.
function showWaiting(name) {
  const begun = performance.now();
  const tick = () => {
    const seconds = Math.round((performance.now() - begun) / 1000);
    byId("register-progress-text").textContent = `Preparing ${name || "the class"}: shots test each other … ${seconds} s`;
  };
  byId("registered").hidden = true;
  byId("register-progress").hidden = false;
  announce(`Preparing ${name}`);
  tick();
  drawForm();
  return setInterval(tick, 1000);
}

function showRegistered({ name, shots, quality, threshold }, goSegment) {
  const found = quality ? `Each shot is found by the others with an IoU of ${Math.round(100 * quality.loo_iou)} %.` : "";
  const text = `“${name}” is ready with ${shots.length} shot${shots.length === 1 ? "" : "s"}, threshold ${threshold.toFixed(2)}. ${found}`;
  replaceChildren(byId("registered"), element("p", {}, text),
    element("button", { type: "button", onclick: goSegment }, "Segment frames"));
  byId("registered").hidden = false;
  announce(text);
}

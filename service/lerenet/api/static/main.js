// The page: two benches, the list of classes beside them, and the state of the service above.

import { startClassPanel } from "./class_panel.js";
import { loadClasses } from "./classes.js";
import { byId } from "./dom.js";
import { addDraft } from "./drafts.js";
import { regionsOf } from "./frames.js";
import { startInspector } from "./inspector.js";
import { guarded } from "./notices.js";
import { PaintedMask } from "./painting.js";
import { maskOf } from "./regions.js";
import { startSegmentPanel, stage as segmentStage } from "./segment_panel.js";
import { onKeyNeeded, service } from "./service.js";
import { aimAt, stage as teachStage, startTeachPanel } from "./teach_panel.js";

const ASK_AGAIN_MS = 1500;
const MODES = ["teach", "segment"];
const ZOOM_STEP = 1.25;

function choose(mode) {
  document.body.dataset.mode = mode;
  for (const each of MODES) {
    byId(each).hidden = each !== mode;
    const tab = byId(`mode-${each}`);
    tab.setAttribute("aria-selected", each === mode);
    tab.tabIndex = each === mode ? 0 : -1;
  }
}

function startModes() {
  for (const mode of MODES) {
    byId(`mode-${mode}`).addEventListener("click", () => choose(mode));
    byId(`mode-${mode}`).addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = MODES.find((each) => each !== mode);
      choose(other);
      byId(`mode-${other}`).focus();
    });
  }
}

function startZoom() {
  for (const [mode, stage] of [["teach", teachStage], ["segment", segmentStage]]) {
    for (const button of document.querySelectorAll(`[data-zoom="${mode}"] button`)) {
      const by = { in: () => stage.zoom(ZOOM_STEP), out: () => stage.zoom(1 / ZOOM_STEP), fit: () => stage.fit() };
      button.addEventListener("click", () => by[button.dataset.zoomBy]());
    }
  }
}

function startDialogs() {
  byId("open-help").addEventListener("click", () => byId("help").showModal());
  onKeyNeeded((problem) => {
    const dialog = byId("key-dialog");
    byId("key-detail").textContent = `${problem.title}. ${problem.detail}`;
    byId("key").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? byId("key").value : null), { once: true });
    });
  });
}

function goTeach(name) {
  choose("teach");
  aimAt(name);
}

/** A mask that the service found, under the brush: to be added to its class as a further shot. */
function goCorrect({ picture, found }, name) {
  const { regions } = regionsOf({ picture, found }, name);
  addDraft(picture, new PaintedMask(picture.height, picture.width, maskOf(regions, picture.height, picture.width)));
  goTeach(name);
}

async function connect() {
  try {
    await service.readyz();
  } catch (problem) {
    byId("status-light").dataset.state = "waiting";
    byId("status-text").textContent = problem.title;
    byId("status").title = problem.detail;
    setTimeout(connect, ASK_AGAIN_MS);
    return;
  }
  await guarded(loadClasses);
  await guarded(async () => {
    const { version, device, preset, weights } = await service.version();
    byId("status-light").dataset.state = "ready";
    byId("status-text").textContent = ["ready", preset, device, `weights ${weights?.slice(0, 8)}`].filter(Boolean).join(" · ");
    byId("status").title = `LERENet ${version}, weights ${weights}`;
  });
}

startModes();
startZoom();
startDialogs();
startClassPanel(goTeach);
startTeachPanel(() => choose("segment"));
startSegmentPanel();
startInspector(goCorrect);
await connect();

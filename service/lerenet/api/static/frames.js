// Frames and what the service found in them. One loop works off whatever is missing: maps of classes that were chosen
// or revised, and regions at thresholds that were moved.

import { changed } from "./changes.js";
import { classes, classOf, thresholdOf, usedClasses } from "./classes.js";
import { decodeGreyPng, fromBase64 } from "./png.js";
import { findRegions, regionKey, thresholdLevel } from "./regions.js";
import { showProblem } from "./notices.js";
import { service } from "./service.js";

const AT_ONCE = 2;
const MOST_RETRIES = 3;
const MOST_WAIT_S = 20;
const OF_THE_FRAME = [413, 415, 422]; // statuses that speak of this file; others would come again for the next

export const frames = {
  /** {picture, found: Map of class name to {revision, q, answer}, problem} */
  all: [],
  current: null,
  /** Names of classes that are not drawn. */
  hidden: new Set(),
  progress: null,
};

let run = null;

export function addFrames(pictures) {
  const added = pictures.map((picture) => ({ picture, found: new Map(), problem: null }));
  frames.all.push(...added);
  frames.current ??= added[0] ?? null;
  changed("frames");
}

export function openFrame(frame) {
  frames.current = frame;
  changed("frames");
}

export function removeFrame(frame) {
  const place = frames.all.indexOf(frame);
  frames.all = frames.all.filter((each) => each !== frame);
  if (frames.current === frame) frames.current = frames.all[Math.min(place, frames.all.length - 1)] ?? null;
  changed("frames");
}

/** Names of the classes whose results are shown on a frame, in the order of the list. */
export const shownNames = (frame) => usedClasses().map(({ name }) => name).filter((name) => frame.found.has(name));

/**
 * Regions of a class on a frame at the threshold in hand: pixels q >= ceil(255 threshold), small regions left out.
 * Unsure ones are left out once the service has scored this threshold (`isScored`); each then has its score.
 */
export function regionsOf(frame, name) {
  const found = frame.found.get(name);
  const threshold = thresholdOf(name);
  const level = thresholdLevel(threshold);
  if (found.cut?.level !== level) {
    found.cut = { level, regions: findRegions(found.q, frame.picture.height, frame.picture.width, level) };
  }
  const isScored = found.answer.threshold === threshold;
  const scores = new Map(isScored ? found.answer.regions.map((each) => [regionKey(each.bbox, each.area_px), each.score]) : []);
  const least = classOf(name)?.min_area_px ?? 0;
  const kept = found.cut.regions
    .filter((region) => (isScored ? scores.has(regionKey(region.bbox, region.areaPx)) : region.areaPx >= least))
    .map((region) => ({ ...region, score: scores.get(regionKey(region.bbox, region.areaPx)) ?? null }));
  return { isScored, regions: kept, areaPx: kept.reduce((sum, each) => sum + each.areaPx, 0), nLeftOut: found.cut.regions.length - kept.length };
}

/** Forgets refusals, so that they are tried again. */
export function segmentAgain() {
  for (const frame of frames.all) frame.problem = null;
  return segmentMissing();
}

export function stopSegmenting() {
  run?.controller.abort();
}

/** Works until nothing is missing. While it works, further calls only leave it more to find. */
export async function segmentMissing() {
  if (run) return run.done;
  const controller = new AbortController();
  run = { controller };
  run.done = workOff(controller.signal).finally(() => {
    run = null;
    frames.progress = null;
    changed("frames");
  });
  return run.done;
}

async function workOff(signal) {
  const taken = new Set();
  let [nDone, isStopped] = [0, false];
  const next = () => {
    const waiting = frames.all.filter((frame) => !taken.has(frame) && missing(frame).length);
    frames.progress = waiting.length || taken.size ? { nDone, n: nDone + waiting.length + taken.size } : null;
    changed("frames");
    return waiting.includes(frames.current) ? frames.current : waiting[0];
  };
  const worker = async () => {
    for (let frame = next(); frame && !isStopped && !signal.aborted; frame = next()) {
      taken.add(frame);
      try {
        await ask(frame, missing(frame)[0], signal);
      } catch (error) {
        isStopped = !OF_THE_FRAME.includes(error.status);
        if (isStopped) throw error;
        frame.problem = error;
        showProblem(error, frame.picture.name);
      } finally {
        taken.delete(frame);
      }
      if (!missing(frame).length) nDone += 1;
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  const failed = ended.find(({ status }) => status === "rejected");
  if (failed) showProblem(failed.reason);
}

// What a frame lacks, as requests: first the maps of all classes together, then regions, one threshold each.
function missing(frame) {
  if (frame.problem) return [];
  if (!classes.all.length) return [{ format: "probability" }]; // the service says what to do first
  // By revision: were a class changed elsewhere, answers would never be those that this page waits for.
  const reference = ({ name, revision }) => `${name}@${revision}`;
  const used = usedClasses();
  const stale = used.filter(({ name, revision }) => frame.found.get(name)?.revision !== revision);
  if (stale.length) return [{ classes: stale.map(reference), format: "probability" }];
  return used
    .filter(({ name }) => frame.found.get(name).answer.threshold !== thresholdOf(name))
    .map((each) => ({ classes: [reference(each)], threshold: thresholdOf(each.name), format: "none" }));
}

async function ask(frame, parameters, signal) {
  const body = await patiently(() => service.segment(frame.picture.file, parameters, signal), signal);
  const [result] = body.results;
  Object.assign(frame.picture, { height: result.height, width: result.width });
  for (const { mask, ...answer } of result.classes) {
    const { name, revision } = answer;
    if (mask) frame.found.set(name, { revision, answer, q: (await decodeGreyPng(fromBase64(mask.png))).values });
    else if (frame.found.get(name)?.revision === revision) frame.found.get(name).answer = answer;
    else frame.found.delete(name); // revised in between
  }
  changed("shown");
}

async function patiently(send, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (error) {
      const waitS = error.status === 503 && error.code !== "device_failed" ? error.retryAfterS : null;
      if (!waitS || waitS > MOST_WAIT_S || attempt > MOST_RETRIES) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * waitS); });
      signal.throwIfAborted();
    }
  }
}

// The service over HTTP. Addresses are relative to the page, so it works under any prefix.

import { BEHIND, forget, note, wanted } from "./freshness.js";

const KEY = "lerenet-api-key";
const NO_ANSWER = "Nothing came back. Is the service running, and the network up?";

/** What went wrong, in the service's own words (RFC 9457). */
export class Problem extends Error {
  constructor({ title, detail = "", code = "", errors = [], request_id: requestId = null }, status, retryAfterS = null) {
    super(detail || title);
    Object.assign(this, { title, detail, code, errors, requestId, status, retryAfterS });
  }
}

let askForKey = async () => null;
let keyInQuestion = null;

/** Registers what asks the user for an API key: takes the problem, gives the key or null. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** Keeps a key as long as the tab lives; an empty one forgets it. */
export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/**
 * Asks the service; after a 401 the user is asked for a key, and the service once more.
 * @throws {Problem} for every status from 400, and when nothing answers
 */
export async function ask(path, options = {}) {
  try {
    return await attempt(path, options);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    keyInQuestion ??= askForKey(problem).finally(() => { keyInQuestion = null; });
    const key = await keyInQuestion;
    if (key === null) throw problem;
    keepKey(key);
    return attempt(path, options);
  }
}

async function attempt(path, { headers = {}, ...options }) {
  const key = sessionStorage.getItem(KEY);
  const url = new URL(path, document.baseURI);
  const asked = wanted();
  let response;
  try {
    response = await fetch(url, { ...options, headers: { ...headers, ...asked, ...(key ? { "X-API-Key": key } : {}) } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The service does not answer", detail: NO_ANSWER, code: "no_answer" }, 0);
  }
  note(response);
  if (response.ok) return response;
  const problem = await problemOf(response);
  // Asked again and again, a registry restored from a backup would never come up to it: the user hears of it, once.
  if (problem.code === BEHIND) forget(asked);
  throw problem;
}

async function problemOf(response) {
  const retryAfterS = Number(response.headers.get("Retry-After")) || null;
  const isProblem = response.headers.get("Content-Type")?.includes("json");
  // A proxy in between refuses in words of its own.
  const body = isProblem ? await response.json() : { title: response.statusText || `Status ${response.status}` };
  return new Problem(body, response.status, retryAfterS);
}

const json = async (...parameters) => (await ask(...parameters)).json();
const bytes = async (...parameters) => new Uint8Array(await (await ask(...parameters)).arrayBuffer());
const at = (name) => `support/${encodeURIComponent(name)}`;

function form(fields) {
  const data = new FormData();
  for (const [field, values] of Object.entries(fields)) {
    for (const value of [values].flat()) {
      if (value instanceof File || !(value instanceof Blob)) data.append(field, value);
      else data.append(field, value, `${field}.png`);
    }
  }
  return data;
}

export const service = {
  readyz: () => attempt("readyz", {}),
  version: () => json("version"),
  limits: () => json("limits"),

  async classes() {
    const found = [];
    let cursor = null;
    do {
      const page = await json(`support?limit=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      found.push(...page.classes);
      cursor = page.next;
    } while (cursor);
    return found;
  },

  /** `images` and `masks` in one order; `normals` beside them. */
  register: (fields, signal) => json("support", { method: "POST", body: form(fields), signal }),
  append: (name, fields, signal) => json(`${at(name)}/shots`, { method: "POST", body: form(fields), signal }),
  dropShot: (name, index) => json(`${at(name)}/shots/${index}`, { method: "DELETE" }),
  forget: (name) => ask(at(name), { method: "DELETE" }),
  change: (name, parameters) => json(at(name), {
    method: "PATCH", body: JSON.stringify(parameters), headers: { "Content-Type": "application/json" },
  }),
  shotImage: (reference, index) => ask(`${at(reference)}/shots/${index}/image`).then((response) => response.blob()),
  shotMask: (reference, index) => bytes(`${at(reference)}/shots/${index}/mask`),

  /** One frame; `parameters` as the service names them. */
  segment: (file, parameters, signal) =>
    json("segment", { method: "POST", body: form({ images: [file], ...parameters }), signal }),
};

// Problems, in the service's own words, until they are dismissed.

import { byId, element } from "./dom.js";
import { Problem } from "./service.js";

const MOST_SHOWN = 4;

/** Shows a problem; what was called off by the user is none. */
export function showProblem(error, about = "") {
  if (error.name === "AbortError") return;
  const problem = error instanceof Problem ? error : { title: "The page cannot do this", detail: error.message };
  if (!(error instanceof Problem)) console.error(error);
  const shown = byId("problems");
  const notice = element("div", { className: "problem" },
    element("div", {},
      element("strong", {}, about ? `${about}: ${problem.title}` : problem.title),
      element("p", {}, problem.detail),
      problem.retryAfterS && element("p", {}, `Try again in ${problem.retryAfterS} s.`),
      element("small", {}, [problem.code, problem.requestId && `request ${problem.requestId}`].filter(Boolean).join(" · "))),
    element("button", { type: "button", className: "plain", "aria-label": "Dismiss", onclick: () => notice.remove() }, "×"));
  shown.append(notice);
  while (shown.children.length > MOST_SHOWN) shown.firstChild.remove();
}

/** Runs an action; its problem is shown and not thrown on. Gives what the action gives, or undefined. */
export async function guarded(action, about = "") {
  try {
    return await action();
  } catch (error) {
    showProblem(error, about);
    return undefined;
  }
}

export function clearProblems() {
  byId("problems").replaceChildren();
}

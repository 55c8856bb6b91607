// Reading one's own writes, whichever replica answers: what one answer has shown, the next request asks for.

const SEEN = "X-Registry-Revision";
const WANTED = "X-Min-Revision";

/** The code of a replica that has not come up to what was asked for. */
export const BEHIND = "registry_behind";

let highest = null;

/** Headers for the next request. */
export const wanted = () => (highest === null ? {} : { [WANTED]: String(highest) });

/** Takes in what an answer shows; one without a number, or with something else, shows nothing. */
export function note(response) {
  const shown = response.headers.get(SEEN) ?? "";
  if (/^\d{1,15}$/.test(shown)) highest = Math.max(Number(shown), highest ?? 0);
}

/** Starts anew, unless more than what the refused headers asked for has been shown meanwhile. */
export function forget(refused) {
  if (highest !== null && highest <= Number(refused[WANTED])) highest = null;
}

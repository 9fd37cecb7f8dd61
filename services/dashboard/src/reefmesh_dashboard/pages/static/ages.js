// @ts-check
/**
 * Ages, and what ceases to hold: both go on while a page is open, with or without a connection.
 */

/** Milliseconds of each unit, the largest first; the largest of which there are at least two is shown. */
const LENGTHS = /** @type {const} */ ([
  ["days", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
]);

/**
 * Say how long ago an instant was, as `pages/words.py` does.
 * @param {number} at milliseconds since 1970
 * @param {number} now likewise
 * @param {Record<string, string>} words sentences with `{count}`, by unit
 * @returns {string}
 */
export function age(at, now, words) {
  const passed = Math.max(0, now - at);
  const [unit, length] = LENGTHS.find(([, each]) => passed >= 2 * each) ?? ["s", 1000];
  return (words[unit] ?? "").replace("{count}", String(Math.round(passed / length)));
}

/**
 * Write every age below `root` anew, and show what holds no more as what it is then: an element that held to
 * `data-until` gives way to the one with `data-afterwards` behind it.
 * @param {ParentNode} root
 * @param {number} now milliseconds since 1970
 * @param {Record<string, string>} words
 */
export function tick(root, now, words) {
  for (const each of root.querySelectorAll("[data-age]")) {
    const text = age(Date.parse(each.getAttribute("data-age") ?? ""), now, words);
    if (each.textContent !== text) each.textContent = text;
  }
  for (const each of root.querySelectorAll("[data-until]")) {
    if (!(each instanceof HTMLElement) || each.hidden || Date.parse(each.dataset.until ?? "") >= now) continue;
    each.hidden = true;
    const next = each.nextElementSibling;
    if (next instanceof HTMLElement && "afterwards" in next.dataset) next.hidden = false;
  }
}

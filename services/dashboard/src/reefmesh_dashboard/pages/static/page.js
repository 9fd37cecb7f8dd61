// @ts-check
/**
 * What a script adds to a page that is complete without one: ages go on, changes come in, a lost connection is said, an
 * instant shows its UTC on touch, and what was last seen opens without a connection.
 */
import { age, tick } from "/ages.js";
import { Stream } from "/stream.js";

const TICK_MILLISECONDS = 5_000;
/** A page that is older than this was kept somewhere, and says so until there is a connection. */
const OLD_MILLISECONDS = 120_000;
const REFRESHED_FROM_FAILURES = 3;
const PAGES = "pages";

/** @type {Record<string, string>} */
const words = JSON.parse(document.body.dataset.words ?? "{}");
const line = /** @type {HTMLElement} */ (document.getElementById("connection"));

/** What the server's clock is ahead of this device's, which may be wrong. */
let aheadMilliseconds = 0;
/** When what is shown was true at last, on the server's clock. */
let knownAt = Date.parse(document.body.dataset.madeAt ?? "");
/** @type {"lost" | "old" | "never" | null} */
let trouble = null;

const now = () => Date.now() + aheadMilliseconds;

function show() {
  tick(document, now(), words);
  line.hidden = trouble === null;
  const text = trouble === null ? "" : (words[trouble] ?? "").replace("{age}", age(knownAt, now(), words));
  if (line.textContent !== text) line.textContent = text;
}

/** @param {string} html */
const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

/**
 * Put one element in the place of another, and the focus where it was.
 * @param {Element} old
 * @param {Element} fresh
 */
function swap(old, fresh) {
  const href = old.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
  old.replaceWith(document.adoptNode(fresh));
  if (href) /** @type {HTMLElement | null} */ (fresh.querySelector(`a[href="${CSS.escape(href)}"]`))?.focus();
  reveal(fresh);
}

/** Read the page anew and take its main part, where one row is not enough. */
async function refresh() {
  const answer = await fetch(location.href, { cache: "no-cache" });
  if (!answer.ok) return;
  const fresh = parsed(await answer.text());
  const [old, main] = [document.querySelector("main"), fresh.querySelector("main")];
  if (!old || !main) return;
  swap(old, main);
  document.body.dataset.madeAt = fresh.body.dataset.madeAt;
  knownAt = Date.parse(fresh.body.dataset.madeAt ?? "");
}

/** @param {{ reef_id: string, row: string }} change */
function change({ reef_id, row }) {
  const old = document.querySelector(`li[data-reef="${CSS.escape(reef_id)}"]`);
  const fresh = parsed(row).querySelector("li");
  if (old && fresh) swap(old, fresh);
  return Boolean(old && fresh);
}

const shown = () => [...document.querySelectorAll("[data-reef]")].map((each) => /** @type {HTMLElement} */ (each).dataset);

const stream = new Stream({
  address() {
    const asked = new URLSearchParams({ rows: "html" });
    for (const { reef, version } of shown()) asked.append("reef", `${reef}@${version}`);
    return `/api/v1/stream?${asked}`;
  },
  async onEvent(name, data) {
    trouble = null;
    if (name === "reload" || (name === "reef" && !change(data))) {
      try {
        await refresh();
      } catch {
        stream.lost();
        return;
      }
    }
    if (data.now) {
      knownAt = Date.parse(data.now);
      aheadMilliseconds = knownAt - Date.now();
      document.body.dataset.madeAt = data.now;
    }
    show();
  },
  async onLost(failures) {
    if (trouble === null) trouble = "lost";
    show();
    keep().catch(unkept);
    // A stream may be refused where a page is not: then what is shown is at least read anew.
    if (failures >= REFRESHED_FROM_FAILURES) {
      try {
        await refresh();
        if (trouble !== null) trouble = "never";
        show();
      } catch {
        // There is no connection, and the line above says so.
      }
    }
  },
});

/** Keep this page, if the service worker came after it and has not seen it pass. */
async function remember() {
  await navigator.serviceWorker.register("/service-worker.js");
  await navigator.serviceWorker.ready;
  const cache = await caches.open(PAGES);
  if (await cache.match(location.href)) return;
  const answer = await fetch(location.href, { cache: "force-cache" });
  if (answer.ok) await store(cache, await answer.text(), answer.headers);
}

/** Keep what is seen now, in the place of what was loaded; its headers stay, the policy among them. */
async function keep() {
  if (!("caches" in globalThis)) return;
  const cache = await caches.open(PAGES);
  const loaded = await cache.match(location.href);
  if (!loaded) return;
  const copy = /** @type {HTMLElement} */ (document.documentElement.cloneNode(true));
  copy.querySelector("#connection")?.setAttribute("hidden", "");
  await store(cache, `<!doctype html>${copy.outerHTML}`, loaded.headers);
}

/**
 * @param {Cache} cache
 * @param {string} html of this page
 * @param {Headers} given those of its answer; without `vary`, so that it takes the place of what was kept before
 */
async function store(cache, html, given) {
  const headers = new Headers(given);
  headers.delete("vary");
  await cache.put(location.href, new Response(html, { headers }));
}

/** A browser may refuse to keep anything, as in a private window: then nothing opens without a connection, and all else works. */
const unkept = () => undefined;

/**
 * Make each instant a button that shows its UTC.
 * @param {ParentNode} root
 */
function reveal(root) {
  for (const each of root.querySelectorAll("time[title]")) {
    each.setAttribute("role", "button");
    each.setAttribute("tabindex", "0");
  }
}

/** @param {Event} event */
function turn(event) {
  const touched = event.target instanceof Element ? event.target.closest("time[title]") : null;
  if (!touched) return;
  const [title, text] = [touched.getAttribute("title") ?? "", touched.textContent ?? ""];
  touched.textContent = title;
  touched.setAttribute("title", text);
}

document.addEventListener("click", turn);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter") turn(event);
});
// A page that nobody looks at holds no connection: a browser has few for each site, and a phone a battery.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream.close();
    keep().catch(unkept);
  } else begin();
});

function begin() {
  if (now() - knownAt > OLD_MILLISECONDS) trouble = "old";
  show();
  if (shown().length) stream.open();
}

reveal(document);
begin();
setInterval(show, TICK_MILLISECONDS);
if ("serviceWorker" in navigator) remember().catch(unkept);

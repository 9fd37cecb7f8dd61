// @ts-check
/// <reference lib="webworker" />
/**
 * Keeps the pages that were seen, and the files that they need, and gives them where there is no connection. What comes over
 * the network always goes first; only pages that somebody opens and those files are kept, never the API or the stream.
 */
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

const PAGES = "pages";
const FILES = "files";
const NEEDED = ["/page.css", "/page.js", "/ages.js", "/stream.js", "/manifest.webmanifest", "/icon.svg"];
const PAGES_LIMIT = 50;
/** After so long a kept page is shown; the network's answer is then kept for the next time. */
const PATIENCE_MILLISECONDS = 8_000;

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(FILES).then((cache) => cache.addAll(NEEDED)));
  void worker.skipWaiting();
});

worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== worker.location.origin) return;
  // Another language or unit: what was kept in the old one would be shown beside the new one.
  if (pathname === "/choices") event.waitUntil(caches.delete(PAGES));
  if (request.method !== "GET") return;
  if (NEEDED.includes(pathname)) event.respondWith(newestOf(event, FILES));
  else if (request.mode === "navigate" && (pathname === "/" || pathname.startsWith("/reefs/"))) {
    event.respondWith(newestOf(event, PAGES));
  }
});

/**
 * @param {FetchEvent} event
 * @param {string} name of the cache
 * @returns {Promise<Response>}
 */
async function newestOf(event, name) {
  const cache = await caches.open(name);
  const kept = await cache.match(event.request);
  const fresh = fetch(event.request).then(async (answer) => {
    if (answer.ok && !answer.redirected) {
      const headers = new Headers(answer.headers);
      headers.delete("vary");
      await cache.put(event.request, new Response(await answer.clone().blob(), { headers }));
      await forgetOldest(cache);
    }
    return answer;
  });
  if (!kept) return fresh;
  const late = new Promise((give) => setTimeout(() => give(kept), PATIENCE_MILLISECONDS));
  event.waitUntil(fresh.catch(() => undefined));
  return Promise.race([fresh.catch(() => kept), late]);
}

/**
 * Answers vary by language and cookie, but a choice empties the cache: what is kept has no `vary`, so each address has one entry.
 * @param {Cache} cache
 */
async function forgetOldest(cache) {
  const keys = await cache.keys();
  for (const key of keys.slice(0, Math.max(0, keys.length - PAGES_LIMIT))) await cache.delete(key);
}

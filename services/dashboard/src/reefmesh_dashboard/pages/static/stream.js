// @ts-check
/**
 * The stream of changes, opened again and again until it is closed here.
 *
 * The browser's own reconnection would ask for what the page had when it was loaded; this one asks for what it has now.
 */

/** A server that is alive sends a beat every 15 s. */
const SILENCE_MILLISECONDS = 40_000;
const FIRST_WAIT_MILLISECONDS = 1_000;
const LONGEST_WAIT_MILLISECONDS = 60_000;

/**
 * @typedef {object} Parts
 * @property {() => string} address where to connect; asked each time
 * @property {(name: string, data: any) => void} onEvent an event has come
 * @property {(failures: number) => void} onLost there is no connection, so many times in a row by now
 */

export class Stream {
  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.failures = 0;
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  open() {
    this.close();
    const source = new EventSource(this.parts.address());
    this.source = source;
    for (const name of ["ready", "reef", "reload", "beat"]) {
      source.addEventListener(name, (event) => {
        this.failures = 0;
        this.watch();
        this.parts.onEvent(name, JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => this.lost());
    this.watch();
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  /** A connection may be gone without a word. */
  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lost(), SILENCE_MILLISECONDS);
  }

  lost() {
    this.close();
    this.failures += 1;
    const longest = Math.min(FIRST_WAIT_MILLISECONDS * 2 ** (this.failures - 1), LONGEST_WAIT_MILLISECONDS);
    // A random part of it, so that a server that comes back does not get all visitors in one second.
    this.timer = setTimeout(() => this.open(), longest * (0.5 + Math.random() / 2));
    this.parts.onLost(this.failures);
  }
}

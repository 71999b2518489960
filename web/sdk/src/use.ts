// How a subscription is used, and what of that the server has been told.

import type { Subscribe } from "./wire.gen.js";

/** What an application, or the place of a picture, says of a subscription. */
export interface Use {
  /** Of the picture on the screen; 0: as large as it gets. */
  readonly width: number;
  readonly height: number;
  /** What matters more where the network cannot carry everything: 0 to 255. */
  readonly priority: number;
  readonly paused: boolean;
}

export const defaultUse: Use = { width: 0, height: 0, priority: 100, paused: false };

/** What differs, as the server is told; undefined: nothing. */
export function difference(told: Use, now: Use): Partial<Omit<Subscribe, "publications" | "subscribed">> | undefined {
  const changed = Object.fromEntries(Object.entries(now).filter(([name, value]) => told[name as keyof Use] !== value));
  return Object.keys(changed).length > 0 ? changed : undefined;
}

/** Sizes are told no more often than this. */
const tellMs = 300;
/** A picture that nobody sees is paused after so long: who scrolls back soon shall not wait. */
const unseenMs = 5_000;

/** Whoever carries the news to the server. */
export type Tell = (change: Partial<Omit<Subscribe, "publications" | "subscribed">>) => Promise<void>;

/** Tells the server how a subscription is used: at once, then not too often. */
export class Teller {
  readonly #tell: Tell;
  #told = defaultUse;
  #now = defaultUse;
  #seen = true;
  #paused = false; // by the application
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unseen: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  get use(): Use {
    return this.#now;
  }

  /** A new subscription on the server's side: nothing of this one has been told. */
  begin(): void {
    this.#told = defaultUse;
    this.#soon(true);
  }

  prefer(use: Partial<Pick<Use, "width" | "height" | "priority">>): void {
    this.#now = { ...this.#now, ...use };
    this.#soon(false);
  }

  /** The application's own pause. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#settlePause();
  }

  /** Whether anybody can see it. */
  see(seen: boolean): void {
    if (seen) {
      clearTimeout(this.#unseen);
      this.#unseen = undefined;
      this.#seen = true;
      return this.#settlePause();
    }
    if (this.#seen) this.#unseen ??= setTimeout(() => {
      this.#unseen = undefined;
      this.#seen = false;
      this.#settlePause();
    }, unseenMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#unseen);
  }

  #settlePause(): void {
    const paused = this.#paused || !this.#seen;
    if (paused === this.#now.paused) return;
    this.#now = { ...this.#now, paused };
    this.#soon(true);
  }

  #soon(atOnce: boolean): void {
    if (this.#timer !== undefined && !atOnce) return;
    clearTimeout(this.#timer);
    // What is said in one moment goes together.
    if (this.#timer === undefined || atOnce) queueMicrotask(() => this.#say());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#say();
    }, tellMs);
  }

  #say(): void {
    const change = difference(this.#told, this.#now);
    if (!change) return;
    this.#told = this.#now;
    this.#tell(change).catch(() => undefined); // the session is over, or begins anew and everything is told again
  }
}

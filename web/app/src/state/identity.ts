// Who one is in a room that needs no invitation: the same after the page was loaded anew, so that one's strokes, lines and raised hand are one's
// own. It is remembered by the tab, as long as that is open. A tab that was duplicated remembers it too, and the same identity in two tabs would
// throw one out of the call: so whoever is in the room holds a lock of its name, and the other tab gets an identity of its own.

import { forTab, ofTab } from "./storage.js";

/** One's seat in a room. */
export class Seat {
  /** Under which one was there before; undefined: the server makes one. */
  readonly identity: string | undefined;
  readonly #room: string;
  readonly #name: string;
  #lock: Promise<Release | undefined>;

  private constructor(room: string, name: string, identity: string | undefined, lock: Promise<Release | undefined>) {
    this.identity = identity;
    this.#room = room;
    this.#name = name;
    this.#lock = lock;
  }

  /** Takes the one that this tab had under this name, unless another tab sits there. */
  static async find(room: string, name: string): Promise<Seat> {
    const { identity, name: before } = read(room);
    const lock = identity !== "" && name === before ? hold(room, identity) : Promise.resolve(undefined);
    return new Seat(room, name, (await lock) && identity, lock);
  }

  /** The server has let one in under this identity. */
  taken(identity: string): void {
    if (identity === this.identity) return;
    forTab(`identity.${this.#room}`, JSON.stringify({ identity, name: this.#name }));
    this.#lock = hold(this.#room, identity);
  }

  /** Whoever comes next in this browser may have it. */
  leave(): void {
    void this.#lock.then((release) => release?.());
  }
}

type Release = () => void;

function read(room: string): { readonly identity: string; readonly name: string } {
  try {
    const { identity, name } = JSON.parse(ofTab(`identity.${room}`) ?? "{}") as { readonly identity?: unknown; readonly name?: unknown };
    if (typeof identity === "string" && typeof name === "string") return { identity, name };
  } catch {
    // somebody else has written it
  }
  return { identity: "", name: "" };
}

/** Undefined where another tab holds it, and where the browser has no locks: pages that came over neither https nor from localhost. */
function hold(room: string, identity: string): Promise<Release | undefined> {
  if (!("locks" in navigator)) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const held = (lock: Lock | null): Promise<void> => {
      if (lock) return new Promise((release) => resolve(release));
      resolve(undefined);
      return Promise.resolve();
    };
    navigator.locks.request(`parley.identity.${room}.${identity}`, { ifAvailable: true }, held).catch(() => resolve(undefined));
  });
}

// What the people of a room make together beside talking: a whiteboard and notes. Each is a record whose members are written one by one, so that
// what two write at once stays. They last as long as the room.

import { type Json, limits, ParleyError } from "@parley-rtc/sdk";
import { signal } from "@preact/signals";
import { edit, fits, type Line, type LineChanges, linesOf } from "../pure/lines.js";
import { bytesOf, hasRoom, newestOf, pathsOf, type Piece, type Stroke, strokesOf } from "../pure/strokes.js";
import { Deeds, deedOf } from "../pure/undo.js";
import type { Board, Notes } from "./call.js";
import { say } from "./toasts.js";

export const recordNames = { hands: "parley.hands", board: "parley.board", notes: "parley.notes" } as const;

type Changes = Readonly<Record<string, Json | undefined>>;
type Members = { readonly [key: string]: Json };

/** A record, as far as it is needed here. The fixture page has some without a server. */
export interface Source {
  get(): Json | undefined;
  readonly isPending: boolean;
  patch(changes: Changes): Promise<void>;
  set(members: Members, options?: { readonly version: number }): Promise<void>;
  addEventListener(type: "change", listener: () => void): void;
}

/**
 * What was written while the connection was lost meets a record that began anew meanwhile: nothing of either is lost. Undefined, the remote one
 * stays: for who wiped the board while others drew.
 */
export function united(remote: Json | undefined, local: Json | undefined): Json | undefined {
  const mine = membersOf(local);
  return Object.keys(mine).length > 0 ? { ...membersOf(remote), ...mine } : undefined;
}

const hasMembers = (document: Json | undefined): document is Members => typeof document === "object" && document !== null && !Array.isArray(document);

const membersOf = (document: Json | undefined): Members => (hasMembers(document) ? document : {});

/** A document that several write. */
class Together {
  readonly isPending;
  protected readonly source: Source;
  readonly #what: string;
  #last: Members = {};

  constructor(source: Source, what: string) {
    this.source = source;
    this.#what = what;
    this.isPending = signal(source.isPending);
    source.addEventListener("change", () => this.#changed());
    this.#last = membersOf(source.get());
  }

  /** Writes, in parts where it is much. An array, which another program has left, has no members and makes room for them. */
  protected async write(changes: Changes): Promise<void> {
    const all = Object.entries(changes);
    const there = this.source.get();
    const parts = there === undefined || hasMembers(there) ? [] : [this.source.set({})];
    for (let i = 0; i < all.length; i += limits.maxWriteOperations) {
      parts.push(this.source.patch(Object.fromEntries(all.slice(i, i + limits.maxWriteOperations))));
    }
    await this.confirmed(Promise.all(parts));
  }

  /** Waits for the server, and tells what it refuses. */
  protected async confirmed(written: Promise<unknown>): Promise<void> {
    this.isPending.value = this.source.isPending;
    try {
      await written;
    } catch (reason) {
      const { text, next } = refusal(this.#what, reason);
      if (text !== "") say(text, next);
    }
    this.isPending.value = this.source.isPending;
  }

  #changed(): void {
    const now = this.source.get();
    // Nobody deletes it: the server has begun anew, and what is here brings it back. Who comes second adds what the first did not have.
    if (now === undefined && Object.keys(this.#last).length > 0) return void this.source.set(this.#last, { version: 0 }).catch(() => undefined);
    this.#last = membersOf(now);
    this.isPending.value = this.source.isPending;
  }
}

function refusal(what: string, reason: unknown): { readonly text: string; readonly next: string } {
  const code = reason instanceof ParleyError ? reason.code : "internal";
  switch (code) {
    case "left":
    case "kicked":
    case "replaced":
      return { text: "", next: "" }; // the call is over, which is told otherwise
    case "forbidden":
      return { text: `You may not change the ${what}.`, next: "Whoever runs this server has said who may." };
    case "too-large":
    case "limit":
      return { text: `The ${what} cannot take more.`, next: "Take something away first, or wait until the connection is back." };
    case "conflict":
      return { text: `Others changed the ${what} meanwhile.`, next: "Look at it, and do it again." };
    default:
      return { text: `The last change of the ${what} was lost.`, next: "Look at what is missing, and do it again." };
  }
}

export class SharedBoard extends Together implements Board {
  readonly strokes = signal<readonly Stroke[]>([]);
  readonly #self: string;

  constructor(source: Source, self: string) {
    super(source, "whiteboard");
    this.#self = self;
    source.addEventListener("change", () => this.#show());
    this.#show();
  }

  draw(key: string, piece: Omit<Piece, "by">): boolean {
    const stroke: Piece = { by: this.#self, ...piece };
    if (!hasRoom(this.strokes.value, bytesOf(key, stroke))) {
      say("The whiteboard is full.", "Erase something, or wipe all of it.");
      return false;
    }
    void this.write({ [key]: { ...stroke } });
    return true;
  }

  erase(keys: readonly string[]): void {
    if (keys.length > 0) this.#takeAway(keys);
  }

  undo(): void {
    this.erase(newestOf(this.strokes.value, this.#self));
  }

  get canUndo(): boolean {
    return this.strokes.value.some((s) => s.by === this.#self);
  }

  get canWipe(): boolean {
    const there = this.source.get();
    return this.strokes.value.length > 0 || (there !== undefined && (!hasMembers(there) || Object.keys(there).length > 0));
  }

  wipe(): void {
    this.#takeAway(pathsOf(membersOf(this.source.get()))); // not the whole: what others draw at this moment stays
  }

  #takeAway(paths: readonly string[]): void {
    void this.write(Object.fromEntries(paths.map((path) => [path, undefined])));
  }

  #show(): void {
    this.strokes.value = strokesOf(this.source.get());
  }
}

export class SharedNotes extends Together implements Notes {
  readonly lines = signal<readonly Line[]>([]);
  readonly #own = new Set<string>();
  readonly #deeds = new Deeds(Math.random);

  constructor(source: Source) {
    super(source, "notes");
    source.addEventListener("change", () => this.#show());
    this.#show();
  }

  edit(shown: readonly Line[], text: string): readonly Line[] {
    if (!fits(text)) {
      say("The notes are full.", "Take something out first.");
      return this.lines.value;
    }
    const changes = edit(shown, text, this.#own, Math.random);
    if (Object.keys(changes).length === 0) return this.lines.value;
    this.#deeds.did(deedOf(shown, changes), performance.now());
    return this.#make(changes);
  }

  undo(): readonly Line[] {
    return this.#make(this.#deeds.undo(this.lines.value));
  }

  redo(): readonly Line[] {
    return this.#make(this.#deeds.redo(this.lines.value));
  }

  #make(changes: LineChanges): readonly Line[] {
    if (Object.keys(changes).length > 0) void this.write(changes);
    return this.lines.value;
  }

  #show(): void {
    this.lines.value = linesOf(this.source.get());
  }
}

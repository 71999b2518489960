// A record as the server has it, and as it is seen here: with the writes that the server has not told yet. It knows no time and no network.

import type { RecordChanged, RecordDeleted, RecordState, Written } from "../wire.gen.js";
import { take } from "./json.js";
import { applyAll, type Document } from "./patch.js";
import type { Write } from "./write.js";

/** What an event means to a replica. */
export type Heard =
  | "applied"
  | "known" // not above what it has
  | "lost"; // cannot follow from what it has: subscribe again

export class Replica {
  #document: Document;
  #incarnation = 0;
  #version = 0;
  #isLive = false;
  #acknowledged = 0;
  #view: Document;
  readonly #writes: Write[] = [];

  /** As the server has it. */
  get document(): Document {
    return this.#document;
  }

  /** The document with the writes that are on their way. */
  get view(): Document {
    return this.#view;
  }

  /** 0: there is no such record. */
  get version(): number {
    return this.#document === undefined ? 0 : this.#version;
  }

  /** Which creation of the record is written to; 0: none is known. */
  get target(): number {
    return Math.max(this.#document === undefined ? 0 : this.#incarnation, this.#acknowledged);
  }

  /** Whether the server tells each change. */
  get isLive(): boolean {
    return this.#isLive;
  }

  get writes(): readonly Write[] {
    return this.#writes;
  }

  /** What is named when subscribing again. */
  get have(): { readonly incarnation: number; readonly version: number } | undefined {
    return this.#document === undefined ? undefined : { incarnation: this.#incarnation, version: this.#version };
  }

  /** The server tells no more what changes. */
  lose(): void {
    this.#isLive = false;
  }

  /** The record as it is, from the reply to a subscription. */
  take({ incarnation, version, same, value }: RecordState): void {
    if (!this.#isLive) {
      this.#acknowledged = 0;
      for (const write of this.#writes.filter((w) => w.written)) this.#writes.splice(this.#writes.indexOf(write), 1); // it is in there
      if (!same) [this.#incarnation, this.#version] = [0, 0]; // what is read anew counts, also where a scope began anew
    } else if (incarnation < this.#incarnation || (incarnation === this.#incarnation && version < this.#version)) return;
    this.#isLive = true;
    if (!same) this.#have(incarnation, version, version === 0 ? undefined : take(value));
    this.settle();
  }

  /**
   * Docs/protocol.md, section 18.2: applied iff it is the next version, or the first and there is nothing. The event of one's own write may
   * come before the reply: the write must not be seen twice.
   */
  changed({ incarnation, version, operations }: RecordChanged, isOwn: boolean): Heard {
    if (!this.#isLive || this.#isKnown(incarnation, version)) return "known";
    const follows = this.#document === undefined ? version === 1 : incarnation === this.#incarnation && version === this.#version + 1;
    if (!follows) return "lost";
    try {
      this.#have(incarnation, version, applyAll(this.#document, operations));
    } catch {
      return "lost";
    }
    if (isOwn) for (const write of this.#writes) write.isTold ||= write.isUnderway;
    this.settle();
    return "applied";
  }

  deleted({ incarnation, version }: Pick<RecordDeleted, "incarnation" | "version">): Heard {
    if (!this.#isLive || incarnation < this.#incarnation || this.#document === undefined) return "known";
    this.#have(incarnation, version, undefined);
    this.settle();
    return "applied";
  }

  add(write: Write): void {
    this.#view = write.operations ? applyAll(this.#view, write.operations) : undefined;
    write.after = this.#view;
    this.#writes.push(write);
  }

  drop(...gone: readonly Write[]): void {
    for (const write of gone) {
      const i = this.#writes.indexOf(write);
      if (i >= 0) this.#writes.splice(i, 1);
    }
    this.settle();
  }

  /** The server has carried out a write. It is part of the view until its version is told. */
  acknowledge(write: Write, written: Written): void {
    write.written = written;
    write.isTold = false;
    this.#acknowledged = Math.max(this.#acknowledged, written.incarnation);
    this.settle();
  }

  /** Makes the view anew. */
  settle(): void {
    let view = this.#document;
    for (const write of [...this.#writes]) {
      if (write.written && this.#isKnown(write.written.incarnation, write.written.version)) {
        this.#writes.splice(this.#writes.indexOf(write), 1);
        continue;
      }
      if (!write.isTold) view = seen(view, write.operations);
    }
    this.#view = view;
  }

  #isKnown(incarnation: number, version: number): boolean {
    return incarnation < this.#incarnation || (incarnation === this.#incarnation && version <= this.#version);
  }

  #have(incarnation: number, version: number, document: Document): void {
    if (document === undefined && this.#acknowledged <= Math.max(incarnation, this.#incarnation)) this.#acknowledged = 0;
    this.#document = document;
    this.#version = version;
    // What does not exist has no incarnation of its own; the one before tells late events from new ones.
    if (incarnation > 0) this.#incarnation = incarnation;
  }
}

/** A write on its way that no longer fits what others have made of the document is the server's to refuse. */
function seen(view: Document, operations: Write["operations"]): Document {
  if (!operations) return undefined;
  try {
    return applyAll(view, operations);
  } catch {
    return view;
  }
}

// A record as the server has it, and as it is seen here: with the writes that are not in there yet. It knows no time and no network.

import type { RecordChanged, RecordDeleted, RecordState, Written } from "../wire.gen.js";
import { take } from "./json.js";
import { applyAll, type Document, Draft } from "./patch.js";
import { isRepeatable, type Write } from "./write.js";

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
  #view: Document;
  #writes: Write[] = [];

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

  get incarnation(): number {
    return this.#document === undefined ? 0 : this.#incarnation;
  }

  /** Whether the server tells each change. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Those that are not part of the document, oldest first. */
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

  /** What was known before there was a connection. */
  known(incarnation: number, version: number, document: Document): void {
    this.#have(incarnation, version, document);
  }

  /** The record as it is, from the reply to the newest subscription, or from a conflict. */
  take({ incarnation, version, same, value }: RecordState): void {
    if (this.#isLive && (same || this.#isKnown(incarnation, version))) return;
    if (!this.#isLive) {
      for (const write of this.#writes) write.isGone ||= version === 0 && (write.isUnderway || write.written !== undefined); // it was sent before that was asked
      if (!same) [this.#incarnation, this.#version] = [0, 0]; // what is read anew counts, also where a scope began anew
    }
    this.#isLive = true;
    if (same) return;
    for (const write of this.#writes) write.isHidden ||= write.isUnderway && !isRepeatable(write);
    this.#have(incarnation, version, version === 0 ? undefined : take(value));
  }

  /** Docs/protocol.md, section 18.2: applied iff it is the next version, or the first and there is nothing. */
  changed({ incarnation, version, operations }: RecordChanged): Heard {
    if (this.#isKnown(incarnation, version)) return "known";
    const follows = this.#document === undefined ? version === 1 : incarnation === this.#incarnation && version === this.#version + 1;
    if (!follows) return "lost";
    try {
      this.#have(incarnation, version, applyAll(this.#document, operations));
      return "applied";
    } catch {
      return "lost";
    }
  }

  deleted({ incarnation, version }: Pick<RecordDeleted, "incarnation" | "version">): Heard {
    if (incarnation < this.#incarnation || this.#document === undefined) return "known";
    this.#have(incarnation, version, undefined);
    return "applied";
  }

  /** The newest version that is known of an incarnation. */
  newest(incarnation: number): number {
    const version = incarnation === this.incarnation ? this.version : 0;
    return this.#writes.reduce((newest, { written }) => (written && written.incarnation === incarnation ? Math.max(newest, written.version) : newest), version);
  }

  add(write: Write): void {
    const after = write.operations ? applyAll(this.#view, write.operations) : undefined;
    write.target = this.#target();
    if (write.seen !== undefined) write.seen = this.#writes.reduce(behind, this.version);
    write.after = this.#view = after;
    this.#writes.push(write);
  }

  /** Takes writes out; returns those that were in. */
  drop(gone: readonly Write[]): readonly Write[] {
    const there = this.#writes.filter((w) => gone.includes(w));
    this.#writes = this.#writes.filter((w) => !there.includes(w));
    this.see();
    return there;
  }

  /** The server has carried out writes, as one. What was made behind their creation of the record is for that. */
  acknowledge(batch: readonly Write[], written: Written): void {
    for (const write of batch) [write.written, write.isHidden, write.isUnderway] = [written, false, false];
    const last = this.#writes.findLastIndex((w) => batch.includes(w));
    for (const write of this.#writes.slice(last + 1)) {
      write.target ||= written.incarnation;
      if (written.version === (write.seen ?? NaN) + 1) write.seen = written.version;
      if (!write.operations) break;
    }
    this.see();
  }

  /** Those of these writes that are not underway have met the record that is here now, and are for that. */
  retarget(met: readonly Write[]): void {
    let [target, version] = [this.incarnation, this.version];
    for (const write of this.#writes) {
      if (!write.isUnderway && met.includes(write)) [write.target, write.seen] = [target, write.seen === undefined ? undefined : version];
      if (!write.operations) target = 0;
      version = behind(version, write);
    }
  }

  /** Makes the view anew. Writes are out when the document has them. */
  see(): void {
    this.#settle(({ written, isGone }) => written !== undefined && (isGone || this.#isKnown(written.incarnation, written.version)));
    this.#view = show(this.#document, this.#writes);
  }

  #settle(isOver: (write: Write) => boolean): void {
    const over = this.#writes.filter(isOver);
    if (over.length === 0) return;
    this.#writes = this.#writes.filter((w) => !over.includes(w));
    for (const { resolve, written } of over) if (written) resolve(written);
  }

  /** Which incarnation a write is for that is made now; 0: none is known, or it will be another. */
  #target(): number {
    return this.#writes.reduce((target, w) => (w.operations ? Math.max(target, w.written?.incarnation ?? 0) : 0), this.incarnation);
  }

  #isKnown(incarnation: number, version: number): boolean {
    return incarnation < this.#incarnation || (incarnation === this.#incarnation && version <= this.#version);
  }

  #have(incarnation: number, version: number, document: Document): void {
    this.#document = document;
    this.#version = version;
    // What does not exist has no incarnation of its own; the one before tells late events from new ones.
    if (incarnation > 0) this.#incarnation = incarnation;
    this.see();
  }
}

/** The version that is seen behind a write, where the one before it was seen: the next one, if nobody else has written in between. */
function behind(version: number, { operations, written }: Write): number {
  if (!operations) return 0;
  return written?.version === version + 1 ? written.version : version;
}

/**
 * The document with writes that are on their way. One that no longer fits what others have made of the document is the server's to refuse.
 * Calls after each that is shown, with the document so far, which changes when that returns.
 */
export function show(document: Document, writes: readonly Write[], after?: (value: Document, write: Write) => void): Document {
  let draft = new Draft(document);
  let shown: Write[] = []; // in the draft
  for (const write of writes) {
    if (write.isHidden) continue;
    try {
      draft.apply(write.operations);
    } catch {
      document = show(document, shown); // without what this one has begun
      [draft, shown] = [new Draft(document), []];
      continue;
    }
    shown.push(write);
    after?.(draft.value, write);
  }
  return draft.done();
}

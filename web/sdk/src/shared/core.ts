// One record that is subscribed to: its replica, its writes on their way to the server, and who is told what has changed. Records and lists
// are two views of it.

import { asParleyError, ConnectionError, fromWire, type ParleyError } from "../errors.js";
import type { Operation, RecordChanged, RecordDeleted, RecordResult, RecordState, RecordWrite, Written } from "../wire.gen.js";
import { limits } from "../wire.gen.js";
import { badRequest, equal, type Json } from "./json.js";
import { type Asker, pause, tell } from "./link.js";
import type { Document } from "./patch.js";
import { get, type Path } from "./path.js";
import { Replica } from "./replica.js";
import { conflict, meet, type Merge, merged, nextBatch, sizeOf, type Write, type WriteOptions } from "./write.js";

export interface RecordOptions {
  /** What becomes of a write that met another version than it was made for. Default: "remote". */
  readonly merge?: Merge;
  /** Stored, if this client creates the record. Default: in the server's scope. */
  readonly durable?: boolean;
  /** Of the record, if this client creates it: see WriteOptions. */
  readonly ttlSeconds?: number;
  readonly history?: number;
}

/** What a record needs of its scope. */
export interface CoreOwner {
  readonly asker: Asker;
  /** Counts a write that waits, or throws where there is no room for it. */
  admit(bytes: number): void;
  settled(bytes: number): void;
  /** A record has something to send. */
  ready(core: Core): void;
  /** Reads it anew. */
  resubscribe(core: Core): void;
}

/** What a record's views are told. Calls come after the record has changed. */
export interface CoreObserver {
  changed(before: Document, after: Document): void;
  provided(provided: boolean): void;
  ended(error: ParleyError): void;
}

interface Watcher {
  readonly path: Path;
  last: Document;
  fn(value: Json | undefined): void;
}

export class Core {
  readonly name: string;
  readonly #owner: CoreOwner;
  readonly #options: RecordOptions;
  readonly #replica = new Replica();
  readonly #watchers = new Set<Watcher>();
  readonly #observers = new Set<CoreObserver>();
  readonly subscribed: Promise<void>;
  #settleSubscribed: { resolve(): void; reject(error: ParleyError): void } | undefined;
  #isSending = false;
  #isProvided = false;
  #ended: ParleyError | undefined;

  constructor(name: string, options: RecordOptions, owner: CoreOwner) {
    this.name = name;
    this.#options = options;
    this.#owner = owner;
    this.subscribed = new Promise((resolve, reject) => (this.#settleSubscribed = { resolve, reject }));
  }

  get view(): Document {
    return this.#replica.view;
  }

  get version(): number {
    return this.#replica.version;
  }

  get isProvided(): boolean {
    return this.#isProvided;
  }

  /** Whether there are writes that the server has not confirmed. */
  get isPending(): boolean {
    return this.#replica.writes.some((w) => !w.written);
  }

  /** What is named when subscribing again. */
  get have(): { readonly name: string; readonly incarnation?: number; readonly version?: number } {
    return { name: this.name, ...this.#replica.have };
  }

  observe(observer: CoreObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  watch(path: Path, fn: (value: Json | undefined) => void): () => void {
    const watcher: Watcher = { path, last: get(this.view, path), fn };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Writes, at once as it is seen here; resolves when the server has carried it out. */
  write(operations: readonly Operation[] | undefined, options: WriteOptions = {}): Promise<Written> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw this.#ended;
      if (operations?.length === 0) throw badRequest("The write has no operation.");
      if ((operations?.length ?? 0) > limits.maxWriteOperations) throw badRequest(`More than ${limits.maxWriteOperations} operations in one write.`, "Write in parts.");
      const bytes = sizeOf(operations);
      const write: Write = { operations, options, after: undefined, isAlone: false, isUncertain: false, isUnderway: false, isTold: false, merges: 0, bytes, resolve, reject };
      this.#change(() => {
        this.#replica.add(write);
        try {
          this.#owner.admit(bytes);
        } catch (reason) {
          this.#replica.drop(write);
          throw reason;
        }
      });
      this.#owner.ready(this);
    });
  }

  // What the server tells.

  /** The result of subscribing. */
  taken({ record, error }: RecordResult): void {
    if (!record) return this.end(error ? fromWire(error) : new ConnectionError("The server did not say what the record is."));
    const wasLive = this.#replica.isLive;
    const [before, had] = [this.#replica.document, this.#replica.have];
    this.#change(() => {
      this.#replica.take(record);
      if (!wasLive) this.#meet(before, had, record);
    });
    this.#provide(record.provided ?? false);
    this.#settleSubscribed?.resolve();
    this.#settleSubscribed = undefined;
    this.#owner.ready(this);
  }

  changed(event: RecordChanged): void {
    this.#change(() => {
      if (this.#replica.changed(event, event.by === this.#owner.asker.identity) === "lost") {
        this.#replica.lose();
        this.#owner.resubscribe(this);
      }
    });
  }

  deleted(event: RecordDeleted): void {
    this.#change(() => this.#replica.deleted(event));
  }

  providedIs(provided: boolean): void {
    this.#provide(provided);
  }

  /** The server tells no more of it, until it is subscribed to again. */
  lose(): void {
    this.#replica.lose();
  }

  /** It is over: not allowed any more, closed, or the session has ended. */
  end(error: ParleyError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#replica.lose();
    for (const write of [...this.#replica.writes]) this.#giveUp([write], error);
    this.#settleSubscribed?.reject(error);
    this.#settleSubscribed = undefined;
    for (const observer of [...this.#observers]) observer.ended(error);
  }

  /** Sends what is next; undefined: nothing can be sent now. */
  send(): Promise<void> | undefined {
    if (this.#isSending || this.#ended || !this.#replica.isLive) return undefined;
    const batch = nextBatch(this.#replica.writes);
    return batch.length > 0 ? this.#send(batch) : undefined;
  }

  async #send(batch: Write[]): Promise<void> {
    this.#isSending = true;
    for (const write of batch) write.isUnderway = true;
    try {
      const written = await this.#ask(batch);
      this.#change(() => this.#done(batch, written));
    } catch (reason) {
      const error = asParleyError(reason);
      for (const write of batch) {
        write.isUnderway = false;
        write.isTold &&= error.code === "connection"; // then that is what is known of it
      }
      if (this.#owner.asker.isCrowded(error)) await pause(error);
      else this.#change(() => this.#refused(batch, error));
    } finally {
      this.#isSending = false;
    }
  }

  async #ask(batch: readonly Write[]): Promise<Written | undefined> {
    const { asker } = this.#owner;
    const target = this.#replica.target;
    const { version } = batch[0]?.options ?? {};
    const base = { name: this.name, ...(version !== undefined && { version }), ...(target > 0 && version !== 0 && { incarnation: target }) };
    const operations = batch.flatMap((w) => w.operations ?? []);
    if (!batch[0]?.operations) {
      await asker.ask("record-delete", base);
      return undefined;
    }
    const { merge: _, ...creating } = this.#options;
    const options = { ...(target === 0 && creating), ...batch[0].options };
    return asker.ask("record-write", { ...base, operations, ...options } satisfies RecordWrite);
  }

  #done(batch: readonly Write[], written: Written | undefined): void {
    const have = this.#replica.have;
    for (const write of batch) {
      this.#owner.settled(write.bytes);
      if (written) this.#replica.acknowledge(write, written);
      else this.#replica.drop(write);
      write.resolve(written ?? { incarnation: 0, version: 0 });
    }
    if (!written && have) this.#replica.deleted(have);
  }

  #refused(batch: readonly Write[], error: ParleyError): void {
    const [first] = batch;
    switch (error.code) {
      case "conflict":
        return this.#conflict(batch, "current" in error ? (error.current as RecordState | undefined) : undefined);
      case "connection":
        for (const write of batch) write.isUncertain = true;
        return;
      case "not-found":
        if (first?.isUncertain && !first.operations) return this.#done(batch, undefined);
        break;
      case "internal":
      case "timeout": // perhaps it was carried out
        this.#replica.lose();
        this.#owner.resubscribe(this);
        return this.#giveUp(batch, error);
    }
    if (batch.length === 1) return this.#giveUp(batch, error);
    for (const write of batch) write.isAlone = true;
  }

  #conflict(batch: readonly Write[], remote: RecordState | undefined): void {
    const isSame = remote !== undefined && remote.version > 0 && remote.incarnation === this.#replica.target;
    if (!remote) return this.#giveUp(batch, conflict(remote));
    this.#merge(batch, remote, isSame);
    if (remote.version === 0) this.#replica.deleted({ incarnation: this.#replica.target, version: this.#replica.version });
    else this.#replica.take(remote);
  }

  /** Writes that waited meet the record as it is now. */
  #meet(before: Document, had: { incarnation: number; version: number } | undefined, now: RecordState): void {
    const isSameRecord = had === undefined ? before === undefined && now.version === 0 : now.version > 0 && had.incarnation === now.incarnation;
    const isSameVersion = isSameRecord && (had?.version ?? 0) === now.version;
    const document = this.#replica.document;
    for (const write of this.#replica.writes.filter((w) => !w.written)) {
      const created = had === undefined && now.version > 0; // meanwhile, where nothing was
      switch (meet(write, before, document, isSameRecord || created, isSameVersion)) {
        case "nothing":
          write.isTold = false;
          continue;
        case "conflict":
          write.isTold = false;
          this.#merge([write], { ...now, value: document }, isSameRecord || created);
          continue;
        case "unknown":
          this.#giveUp([write], new ConnectionError("The connection was lost before the server answered: it is not known whether it was written.", {
            next: "Look at what is there, and write again if it is missing.",
          }));
      }
    }
    this.#replica.settle();
  }

  /** The application's merge may throw, or return what is no document. */
  #merge(writes: readonly Write[], remote: RecordState, isSameRecord: boolean): void {
    try {
      if (!merged(writes, this.#options.merge ?? "remote", remote, isSameRecord)) this.#giveUp(writes, conflict(remote));
    } catch (reason) {
      this.#giveUp(writes, asParleyError(reason));
    }
  }

  #giveUp(writes: readonly Write[], error: ParleyError): void {
    for (const write of writes) {
      if (!write.written) this.#owner.settled(write.bytes);
      this.#replica.drop(write);
      write.reject(error);
    }
  }

  #provide(provided: boolean): void {
    if (provided === this.#isProvided) return;
    this.#isProvided = provided;
    for (const observer of [...this.#observers]) observer.provided(provided);
  }

  /** Changes the replica, and tells what has come of it. */
  #change(act: () => void): void {
    const before = this.view;
    act();
    const after = this.view;
    if (equal(before, after)) return;
    for (const watcher of [...this.#watchers]) {
      const value = get(after, watcher.path);
      if (!this.#watchers.has(watcher) || equal(watcher.last, value)) continue;
      watcher.last = value;
      tell(() => watcher.fn(value));
    }
    for (const observer of [...this.#observers]) observer.changed(before, after);
  }
}

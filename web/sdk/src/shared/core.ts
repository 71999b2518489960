// One record that is subscribed to: its replica, its writes on their way to the server, and who is told what has changed. Records and lists
// are two views of it.

import { asParleyError, ConnectionError, fromWire, LimitError, type ParleyError } from "../errors.js";
import type { Operation, RecordChanged, RecordDeleted, RecordProvided, RecordResult, RecordState, RecordWanted, RecordWrite, Written } from "../wire.gen.js";
import { limits } from "../wire.gen.js";
import type { Kept, KeptWrite } from "./cache.js";
import { badRequest, equal, type Json, take } from "./json.js";
import { maxHeard } from "./limits.js";
import { type Asker, pause, tell } from "./link.js";
import type { Document } from "./patch.js";
import { get, type Path } from "./path.js";
import { Replica } from "./replica.js";
import { conflict, fateOf, isMergeable, isRepeatable, meet, type Merge, merged, missing, newWrite, nextBatch, type Write, type WriteOptions } from "./write.js";

export interface RecordOptions {
  /**
   * What becomes of a write that met another version than it was made for. Where this is given, set(value) replaces the document that was seen here,
   * and no other. Without it set(value) replaces whatever is there, so the last writer wins, and what others wrote at the same time is lost: write by paths
   * where they do. Writes that waited while the connection was lost meet what others wrote meanwhile, however long it was lost; by path they meet in no
   * other case. Those that did are undone ("remote") where this is not given, as they are old by then. What is written with a version always meets.
   */
  readonly merge?: Merge;
  /** Stored, if this client creates the record. Default: in the server's scope. */
  readonly durable?: boolean;
  /** Of the record, if this client creates it; not of one that somebody else created: see WriteOptions. */
  readonly ttlSeconds?: number;
  readonly history?: number;
}

/** What a record needs of its scope. */
export interface CoreOwner {
  readonly asker: Asker;
  /** Counts a write that waits, or throws where there is no room for it. */
  admit(bytes: number): void;
  settled(bytes: number): void;
  /** Writes that wait have become so much longer. */
  resized(bytes: number): void;
  /** A record has something to send. */
  ready(core: Core): void;
  /** Reads it anew. */
  resubscribe(core: Core): void;
  /** Reads records once. */
  read(wanted: readonly RecordWanted[]): Promise<readonly (RecordResult & { readonly value: Json | undefined })[]>;
  /** A record is another one than it was, or its writes are. */
  keep(core: Core): void;
}

/** What a record's views are told, beside what they watch. Calls come after the record has changed. */
export interface CoreObserver {
  provided?(provided: boolean): void;
  ended(error: ParleyError): void;
  /** What this browser had kept was not written. */
  discarded?(operations: readonly Operation[], error: ParleyError): void;
}

/** What has made a value what it is. */
export interface ChangeInfo {
  /** The identity of who wrote; undefined: nobody, nobody alone, or it is not known, as it was read anew or what was seen here is undone. */
  readonly by: string | undefined;
  /** Of the record: see SharedRecord.version. */
  readonly version: number;
}

interface Watcher {
  readonly path: Path;
  /** What it was told last, and what it will be. */
  last: Document;
  next: Document;
  /** Who has made that. */
  by: string | undefined;
  fn(value: Document, before: Document, info: ChangeInfo): void;
}

/** A record as it was known before it is known again. */
type Before = Pick<Replica, "document" | "have" | "writes">;

/** What the server tells of a record. */
type Event = RecordChanged | RecordDeleted | RecordProvided;

export class Core {
  readonly name: string;
  readonly #owner: CoreOwner;
  readonly #options: RecordOptions;
  readonly #replica = new Replica();
  readonly #watchers = new Set<Watcher>();
  readonly #observers = new Set<CoreObserver>();
  /** What was told and is not dealt with: a subscription's changes may come before its reply. */
  readonly #heard: Event[] = [];
  readonly subscribed: Promise<void>;
  #settleSubscribed: { resolve(): void; reject(error: ParleyError): void } | undefined;
  #asks = 0;
  #isSending = false;
  /** It is being found out whether writes without a reply were carried out: nothing is sent. */
  #isInDoubt = false;
  #isTelling = false;
  #isProvided = false;
  /** As it was when the connection was lost, if it is or what waits has not met it since. */
  #apart: Before | undefined;
  #ended: ParleyError | undefined;

  constructor(name: string, options: RecordOptions, owner: CoreOwner) {
    this.name = name;
    this.#options = options;
    this.#owner = owner;
    this.subscribed = new Promise((resolve, reject) => (this.#settleSubscribed = { resolve, reject }));
    this.subscribed.catch(() => undefined); // views of what was kept are told that it has ended
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

  /** Whether the server tells each change. */
  get isLive(): boolean {
    return this.#replica.isLive;
  }

  /** What is worth keeping in this browser. Operations on lists are not: to repeat them may do them twice. */
  get kept(): Kept {
    const { document, have, writes } = this.#replica;
    const isSent = ({ isUnderway, isUncertain }: Write): boolean => isUnderway || isUncertain;
    const isKept = ({ operations = [], options }: Write): boolean =>
      operations.length > 0 && options.version === undefined && operations.every(({ op }) => op === "set" || op === "erase");
    const unconfirmed = writes.filter((w) => !w.written);
    const isWhole = unconfirmed.every((w) => !isSent(w) || isKept(w)); // what was sent as one can be judged as one alone
    const kept = (w: Write): KeptWrite => ({ operations: w.operations ?? [], isSent: isSent(w), ...(isSent(w) && isWhole && { since: w.since }) });
    return {
      name: this.name,
      ...(have ?? { incarnation: 0, version: 0 }),
      ...(document !== undefined && { value: document }),
      writes: unconfirmed.filter(isKept).map(kept),
    };
  }

  /** Whether there are writes whose version is not here. */
  get isPending(): boolean {
    return this.#replica.writes.length > 0;
  }

  /** What is named when subscribing again. */
  get have(): { readonly name: string; readonly incarnation?: number; readonly version?: number } {
    return { name: this.name, ...this.#replica.have };
  }

  observe(observer: CoreObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** Calls with what is at a path when that is another value, deeply compared, and with the one that it was called with before. */
  watch(path: Path, fn: Watcher["fn"]): () => void {
    const value = get(this.view, path);
    const watcher: Watcher = { path, last: value, next: value, by: undefined, fn };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Writes, at once as it is seen here; resolves when the server has carried it out, and its version is here. */
  write(operations: readonly Operation[] | undefined, options: WriteOptions = {}): Promise<Written> {
    return new Promise((resolve, reject) => this.#begin([newWrite(operations, options, { resolve, reject })]));
  }

  /** Writes the whole document: where it is said how to merge, only in place of what was seen. */
  replace(operation: Operation, options: WriteOptions = {}): Promise<Written> {
    return new Promise((resolve, reject) => {
      const write = newWrite([operation], options, { resolve, reject });
      if (this.#options.merge !== undefined && options.version === undefined) write.seen = 0;
      this.#begin([write]);
    });
  }

  /** Writes in parts. What is behind one that is not carried out is not written; the promise then rejects as that one. */
  writeParts(parts: readonly (readonly Operation[])[]): Promise<Written> {
    return new Promise((resolve, reject) => {
      const before = { resolve: () => undefined, reject: () => undefined }; // the last one ends with whichever does
      const writes = parts.map((operations, i) => newWrite(operations, {}, i < parts.length - 1 ? before : { resolve, reject }));
      for (const [i, write] of writes.entries()) write.next = writes[i + 1];
      this.#begin(writes);
    });
  }

  /** Shows writes, all of them or none. */
  #begin(writes: readonly Write[]): void {
    if (this.#ended) throw this.#ended;
    for (const { operations } of writes) {
      if (operations?.length === 0) throw badRequest("The write has no operation.");
      if ((operations?.length ?? 0) > limits.maxWriteOperations) {
        throw new LimitError("limit", `More than ${limits.maxWriteOperations} operations in one write.`, { next: "Write in parts." });
      }
    }
    this.#change(() => {
      const admitted: Write[] = [];
      try {
        for (const write of writes) {
          this.#owner.admit(write.bytes);
          admitted.push(write);
          this.#replica.add(write);
        }
      } catch (reason) {
        for (const { bytes } of admitted) this.#owner.settled(bytes);
        this.#replica.drop(admitted);
        throw reason;
      }
    }, this.#owner.asker.identity);
    this.#owner.ready(this);
  }

  /** What this browser has kept. Its writes may have been carried out: they meet the record when the server has told it. */
  known({ incarnation, version, value, writes }: Kept): void {
    this.#change(() => {
      if (value !== undefined) this.#replica.known(incarnation, version, take(value));
      for (const write of writes) this.#again(write);
    });
  }

  #again({ operations, isSent, since }: KeptWrite): void {
    const discarded = (error: ParleyError): void => {
      if (this.#ended) return; // it is kept further
      this.#tellObservers((observer) => observer.discarded?.(operations, error));
    };
    const write = newWrite(operations, {}, { resolve: () => undefined, reject: discarded }); // whoever made it is not there any more
    write.isUncertain = isSent;
    write.since = since ?? NaN;
    try {
      this.#replica.add(write);
    } catch {
      return; // it does not fit what was kept
    }
    try {
      this.#owner.admit(write.bytes);
    } catch {
      this.#replica.drop([write]);
    }
  }

  // What the server tells.

  /** How often it was subscribed to: only the newest result counts. */
  get asks(): number {
    return this.#asks;
  }

  /** It is subscribed to. */
  asked(): number {
    return ++this.#asks;
  }

  /** The result of subscribing. */
  taken({ record, error }: RecordResult): void {
    if (!record) return this.end(error ? fromWire(error) : new ConnectionError("The server did not say what the record is."));
    const before = this.isLive ? undefined : this.#takeBefore();
    this.#change(() => {
      this.#replica.take(record);
      if (before) this.#meetAgain(before);
      this.#provide(record.provided ?? false);
      this.#catchUp();
    });
    this.#settleSubscribed?.resolve();
    this.#settleSubscribed = undefined;
    this.#owner.ready(this);
  }

  told(event: Event): void {
    this.#heard.push(event);
    if (this.#heard.length > maxHeard) this.#heard.shift(); // what follows it does not follow what will be here: it is read anew
    this.#change(() => this.#catchUp(), this.isLive && "by" in event ? event.by : undefined); // else it is one of several
  }

  #catchUp(): void {
    while (this.#replica.isLive) {
      const event = this.#heard.shift();
      if (!event) return;
      if ("provided" in event) this.#provide(event.provided);
      else if (!("operations" in event)) this.#replica.deleted(event);
      else if (this.#replica.changed(event) === "lost") {
        this.#replica.lose();
        this.#owner.resubscribe(this);
      }
    }
  }

  /** The connection is lost: what is not sent is old when it is back. */
  apart(): void {
    const { document, have, writes } = this.#replica;
    this.#apart ??= { document, have, writes: [...writes] };
  }

  /** The session goes on, and the replica has all that was told meanwhile: what waited meets that. */
  together(): void {
    if (!this.#apart || !this.#replica.isLive || this.#isInDoubt) return; // it meets the record when that is read anew, or nothing is in doubt
    const before = this.#takeBefore();
    const isSameRecord = !before.have || before.have.incarnation === this.#replica.incarnation;
    if (this.isPending && isSameRecord) this.#change(() => this.#meet(before)); // else what waits is for one that is gone, which the server says
  }

  /** As it was when the connection was lost, else as it is, with all writes that were on their way then or have been made since. */
  #takeBefore(): Before {
    const { document, have, writes } = this.#replica;
    const { document: was, have: had, writes: old } = this.#apart ?? { document, have, writes: [] };
    this.#apart = undefined;
    return { document: was, have: had, writes: [...new Set([...old, ...writes])] };
  }

  /** The server tells no more of it, until it is subscribed to again. */
  lose(): void {
    this.#replica.lose();
    this.#heard.length = 0;
  }

  /** It is over: not allowed any more, closed, or the session has ended. */
  end(error: ParleyError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.lose();
    this.#change(() => this.#giveUp(this.#replica.writes, error));
    this.#settleSubscribed?.reject(error);
    this.#settleSubscribed = undefined;
    this.#tellObservers((observer) => observer.ended(error));
  }

  /** Sends what is next; undefined: nothing can be sent now. */
  send(): Promise<void> | undefined {
    if (this.#isSending || this.#isInDoubt || this.#ended || !this.#replica.isLive) return undefined;
    const batch = nextBatch(this.#replica.writes);
    return batch.length > 0 ? this.#send(batch) : undefined;
  }

  async #send(batch: Write[]): Promise<void> {
    this.#isSending = true;
    for (const write of batch) [write.isUnderway, write.isGone, write.since] = [true, false, this.#replica.newest(write.target)];
    this.#owner.keep(this);
    try {
      const written = await this.#ask(batch);
      if (!this.#ended) this.#change(() => this.#done(batch, written));
    } catch (reason) {
      const error = asParleyError(reason);
      if (this.#ended) return;
      this.#change(() => this.#refused(batch, error));
      if (this.#owner.asker.isCrowded(error)) await pause(error);
    } finally {
      this.#isSending = false;
    }
  }

  async #ask(batch: readonly Write[]): Promise<Written | undefined> {
    const { asker } = this.#owner;
    const { options = {}, seen, target = 0, operations } = batch[0] ?? {};
    const { version = seen } = options;
    const base = { name: this.name, ...(version !== undefined && { version }), ...(target > 0 && version !== 0 && { incarnation: target }) };
    if (!operations) {
      await asker.ask("record-delete", base);
      return undefined;
    }
    const { durable, ttlSeconds, history } = this.#options;
    const initial = { ...(ttlSeconds !== undefined && { ttlSeconds }), ...(history !== undefined && { history }) };
    const creating = { ...(durable !== undefined && { durable }), ...(Object.keys(initial).length > 0 && { initial }) };
    const all = batch.flatMap((w) => w.operations ?? []);
    return asker.ask("record-write", { ...base, operations: all, ...(target === 0 && creating), ...options } satisfies RecordWrite);
  }

  #done(batch: readonly Write[], written: Written | undefined): void {
    for (const { bytes } of batch) this.#owner.settled(bytes);
    if (written) return this.#replica.acknowledge(batch, written);
    this.#replica.drop(batch);
    const target = batch[0]?.target ?? 0;
    if (target > 0) this.#replica.deleted({ incarnation: target, version: Infinity });
    for (const { resolve } of batch) resolve({ incarnation: target, version: 0 });
  }

  #refused(batch: readonly Write[], error: ParleyError): void {
    const isLost = error.code === "connection";
    for (const write of batch) {
      write.isUnderway = false;
      write.isUncertain ||= isLost;
      write.isHidden &&= isLost; // else it is not in the record, whatever was read
    }
    this.#replica.see();
    if (isLost || this.#owner.asker.isCrowded(error)) return;
    switch (error.code) {
      case "conflict":
        return this.#conflict(batch, "current" in error ? (error.current as RecordState | undefined) : undefined);
      case "not-found":
        if (batch[0]?.isUncertain && !batch[0].operations) return this.#done(batch, undefined);
        break;
      case "internal":
      case "timeout": // perhaps it was carried out
        this.#replica.lose();
        this.#owner.resubscribe(this);
        return this.#giveUp(batch, error);
    }
    // Those without operations were merged into the one before.
    if (batch.filter((w) => w.operations?.length !== 0).length === 1) return this.#giveUp(batch, error);
    for (const write of batch) write.isAlone = true;
  }

  #conflict(batch: readonly Write[], current: RecordState | undefined): void {
    if (!current) return this.#giveUp(batch, conflict(current));
    if (!this.#replica.isLive) return; // it meets the record when that is read anew
    const target = batch[0]?.target ?? 0;
    if (current.version === 0) this.#replica.deleted({ incarnation: target, version: Infinity });
    else this.#replica.take(current);
    const { incarnation, version } = this.#replica; // perhaps newer than what was told
    this.#merge(batch, this.#now, version > 0 && incarnation === target);
    this.#replica.see();
  }

  /** Writes that waited meet the record, once it is known of those without a reply whether they were carried out. */
  #meetAgain(before: Before): void {
    this.#isInDoubt = false;
    const { incarnation, version, document } = this.#replica;
    const doubtful = before.writes.filter((w) => w.isUncertain && !w.isUnderway && !w.written && w.operations && (w.target || incarnation) === incarnation);
    const since = doubtful[0]?.since ?? version;
    const documents = new Map<number, Document>([[0, undefined], [version, document]]);
    if (before.have?.incarnation === incarnation) documents.set(before.have.version, before.document);
    const isNear = version - since <= limits.maxHistory + 1;
    const versions = isNear ? Array.from({ length: version - since + 1 }, (_, i) => since + i) : [NaN, version];
    const judge = (): void => {
      const fate = fateOf(doubtful, versions.map((v) => (documents.has(v) ? documents.get(v) : missing)));
      this.#judge(doubtful, typeof fate === "number" ? { incarnation, version: versions[fate] ?? 0 } : fate);
      this.#meet(before);
      if (this.#owner.asker.isOpen) this.together();
    };
    const wanted = versions.filter((v) => v > 0 && !documents.has(v));
    if (wanted.length === 0) return judge();
    this.#isInDoubt = true;
    for (const write of doubtful) write.isHidden ||= !isRepeatable(write); // perhaps it is in there, and would be seen twice
    this.#replica.see();
    void this.#look(wanted, incarnation, documents).then((isKnown) => isKnown && this.#change(judge)).then(() => this.#owner.ready(this));
  }

  /** Reads earlier versions; false: the record is read anew by then, or has ended. */
  async #look(versions: readonly number[], incarnation: number, documents: Map<number, Document>): Promise<boolean> {
    const asks = this.#asks;
    const results = await this.#owner.read(versions.map((version) => ({ name: this.name, version }))).catch(() => []);
    if (this.#ended || !this.#replica.isLive || asks !== this.#asks) return false;
    for (const { record, value } of results) if (record?.incarnation === incarnation) documents.set(record.version, value);
    this.#isInDoubt = false;
    return true;
  }

  /** Writes that were sent as one and have no reply end, or wait like others. */
  #judge(doubtful: readonly Write[], fate: Written | "lost" | "unknown"): void {
    if (doubtful.length === 0) return;
    switch (fate) {
      case "lost":
        for (const write of doubtful) write.isUncertain = write.isHidden = false;
        return;
      case "unknown":
        return this.#giveUp(doubtful, new ConnectionError("The connection was lost before the server answered: it is not known whether it was written.", {
          next: "Look at what is there, and write again if it is missing.",
        }));
      default:
        return this.#done(doubtful, fate);
    }
  }

  /** Writes that waited meet the record as it is now. Those that are underway have a reply to come. */
  #meet({ document: before, have, writes }: Before): void {
    const { incarnation, version, document } = this.#replica;
    const isSameRecord = have ? incarnation === have.incarnation : before === undefined && version === 0;
    const isSameVersion = isSameRecord && (have?.version ?? 0) === version;
    const created = !have && version > 0; // meanwhile, where nothing was
    const known = [before, ...writes.map((w) => w.after)];
    const runs: Write[][] = []; // of conflicts, without anything between
    let run: Write[] | undefined;
    for (const write of writes) {
      if (write.written || write.isUnderway || !this.#replica.writes.includes(write)) continue; // or it was given up with one before it
      const meeting = meet(write, known, document, isSameRecord || created, isSameVersion);
      write.isHidden = false;
      if (write.operations) write.isUncertain = false; // else, where the record is gone, it was deleted
      if (meeting !== "conflict" || !isMergeable(write)) run = undefined;
      if (meeting !== "conflict") continue;
      if (run) run.push(write);
      else runs.push((run = [write]));
      if (!isMergeable(write)) run = undefined;
    }
    for (const conflicts of runs) this.#merge(conflicts.filter((w) => this.#replica.writes.includes(w)), this.#now, isSameRecord || created);
    this.#replica.retarget(writes);
    this.#replica.see();
  }

  get #now(): RecordState {
    const { incarnation, version, document } = this.#replica;
    return { name: this.name, incarnation, version, ...(document !== undefined && { value: document }) };
  }

  /** The application's merge may throw, or return what is no document. */
  #merge(writes: readonly Write[], remote: RecordState, isSameRecord: boolean): void {
    const bytes = bytesOfAll(writes);
    try {
      if (!merged(writes, this.#options.merge ?? "remote", remote, isSameRecord)) this.#giveUp(writes, conflict(remote));
      else this.#owner.resized(bytesOfAll(writes) - bytes);
    } catch (reason) {
      this.#giveUp(writes, asParleyError(reason));
    }
  }

  /** Ends writes, and with each that was not carried out those that follow it. */
  #giveUp(writes: readonly Write[], error: ParleyError): void {
    const ends = [...writes];
    for (const write of this.#replica.writes) if (write.next && !write.written && ends.includes(write)) ends.push(write.next);
    for (const { written, bytes, resolve, reject } of this.#replica.drop(ends)) {
      if (written) resolve(written);
      else {
        this.#owner.settled(bytes);
        reject(error);
      }
    }
  }

  #provide(provided: boolean): void {
    if (provided === this.#isProvided) return;
    this.#isProvided = provided;
    this.#tellObservers((observer) => observer.provided?.(provided));
  }

  /** What one of them does may end another. */
  #tellObservers(tellOne: (observer: CoreObserver) => void): void {
    for (const observer of [...this.#observers]) if (this.#observers.has(observer)) tellOne(observer);
  }

  /** Changes the replica, and tells what has come of it. What is changed by whom that tells is told afterwards, to everybody. */
  #change(act: () => void, by?: string): void {
    act();
    if (!this.#ended) this.#owner.keep(this);
    for (const watcher of this.#watchers) {
      const value = get(this.view, watcher.path);
      if (equal(watcher.next, value)) continue;
      watcher.by = watcher.next === watcher.last || watcher.by === by ? by : undefined;
      watcher.next = value;
    }
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#tellOnce());
    this.#isTelling = false;
  }

  #tellOnce(): boolean {
    let told = false;
    for (const watcher of [...this.#watchers]) {
      const { last, next, by } = watcher;
      watcher.last = next;
      if (!this.#watchers.has(watcher) || equal(last, next)) continue;
      told = true;
      tell(() => watcher.fn(next, last, { by, version: this.version }));
    }
    return told;
  }
}

function bytesOfAll(writes: readonly Write[]): number {
  return writes.reduce((sum, { bytes }) => sum + bytes, 0);
}

// A record as an application sees it.

import { fromWire, type ParleyError } from "../errors.js";
import { emit, TypedEventTarget } from "../events.js";
import { limits, type Operation } from "../wire.gen.js";
import type { ChangeInfo, Core } from "./core.js";
import { type Json, type JsonOf, take } from "./json.js";
import { tell } from "./link.js";
import { formatPath, get, parsePath } from "./path.js";
import type { Records } from "./records.js";
import type { WriteOptions } from "./write.js";

export interface RecordEvents {
  /** The record is another one than before, by whoever wrote. */
  change: Record<never, never>;
  /** record.provided changed. */
  providedchange: { readonly provided: boolean };
  /** What this browser had kept was not written (see JoinOptions.cache): others have written there since, or it may have been written before. */
  discarded: { readonly operations: readonly Operation[]; readonly error: ParleyError };
  /** It is not followed any more: it was closed, it is not allowed any more, or the room is over. */
  ended: { readonly error: ParleyError };
}

export interface SubscribeOptions {
  /** It is also called at once, with what is there now. */
  readonly now?: boolean;
}

/** An earlier version. */
export interface Version<T> {
  readonly version: number;
  readonly value: JsonOf<T>;
}

/** A path's new value; undefined erases what is there. */
export type Changes = Readonly<Record<string, unknown>>;

/**
 * A JSON document that is shared. It shows what the server has, with one's own writes on top of it at once. A write that is refused is undone
 * here, and its promise rejects. T is what its users agree on; nobody checks it.
 */
export class SharedRecord<T = Json> extends TypedEventTarget<RecordEvents> {
  readonly name: string;
  readonly #core: Core;
  readonly #records: Records;
  readonly #ending = new Set<() => void>();
  #isClosed = false;

  /** @internal */
  constructor(core: Core, records: Records) {
    super();
    this.name = core.name;
    this.#core = core;
    this.#records = records;
    this.#ending.add(
      core.observe({
        provided: (provided) => emit(this, "providedchange", { provided }),
        ended: (error) => emit(this, "ended", { error }),
        discarded: (operations, error) => emit(this, "discarded", { operations, error }),
      }),
    );
    this.#ending.add(core.watch([], () => emit(this, "change", {})));
  }

  /** 1 when it was created, and one more with each write; 0: it does not exist. One's own writes count when the server has them. */
  get version(): number {
    return this.#core.version;
  }

  get exists(): boolean {
    return this.#core.view !== undefined;
  }

  /** What is seen is what the server has. False: the connection is lost, or it is what this browser has kept. */
  get isLive(): boolean {
    return this.#core.isLive;
  }

  /** Some writes are not part of it on the server yet, as far as is known here. */
  get isPending(): boolean {
    return this.#core.isPending;
  }

  /** A client that listens to a pattern provides this record. */
  get provided(): boolean {
    return this.#core.isProvided;
  }

  /** The document, or what is at a path in it; undefined: nothing. Nobody changes what is returned. */
  get(): JsonOf<T> | undefined;
  get(path: string): Json | undefined;
  get(path = ""): unknown {
    return get(this.#core.view, parsePath(path));
  }

  has(path = ""): boolean {
    return this.get(path) !== undefined;
  }

  /** Replaces the document: the one that was seen here if it was opened with a merge, else whatever is there. See RecordOptions.merge. */
  set(value: T & JsonOf<T>, options?: WriteOptions): Promise<void>;
  /** Sets what is at a path: "a.b[1].c". Missing parents are made. */
  set<V>(path: string, value: V & JsonOf<V>, options?: WriteOptions): Promise<void>;
  async set(...given: [unknown, unknown?, WriteOptions?]): Promise<void> {
    const [path, value, options] = typeof given[0] === "string" ? given : ["", given[0], given[1] as WriteOptions | undefined];
    const written = operation(path as string, take(value));
    await (written.path === undefined ? this.#core.replace(written, options) : this.#core.write([written], options));
  }

  /** Takes away what is at a path. */
  async erase(path: string, options?: WriteOptions): Promise<void> {
    await this.#core.write([operation(path, undefined)], options);
  }

  /** Sets and erases what is at several paths, in their order, all of it or nothing. */
  async patch(changes: Changes, options?: WriteOptions): Promise<void> {
    const operations = Object.entries(changes).map(([path, value]) => operation(path, value === undefined ? undefined : take(value)));
    await this.#core.write(operations, options);
  }

  /** Deletes the record. Who follows it goes on to do so. */
  async delete(options?: Pick<WriteOptions, "version">): Promise<void> {
    await this.#core.write(undefined, options);
  }

  /** Calls when what is at a path, or the document, has another value, deeply compared, and by whom. Returns a function that ends it. */
  subscribe(path: string, fn: (value: Json | undefined, info: ChangeInfo) => void, options?: SubscribeOptions): () => void;
  subscribe(fn: (value: JsonOf<T> | undefined, info: ChangeInfo) => void, options?: SubscribeOptions): () => void;
  subscribe(...given: [unknown, unknown?, SubscribeOptions?]): () => void {
    const [text, fn, { now = false } = {}] = (typeof given[0] === "string" ? given : ["", ...given]) as [string, (value: Json | undefined, info: ChangeInfo) => void, SubscribeOptions?];
    const path = parsePath(text);
    if (this.#isClosed) return () => undefined;
    const unwatch = this.#core.watch(path, (value, _, info) => fn(value, info));
    const end = (): void => {
      this.#ending.delete(end);
      unwatch();
    };
    this.#ending.add(end);
    if (now) tell(() => fn(get(this.#core.view, path), { by: undefined, version: this.version }));
    return end;
  }

  /** Earlier versions that the server has kept, the newest first. */
  async history(most = 8): Promise<readonly Version<T>[]> {
    const first = this.version - 1;
    const versions = Array.from({ length: Math.max(0, Math.min(most, limits.maxHistory, first)) }, (_, i) => first - i);
    if (versions.length === 0) return [];
    const results = await this.#records.read(versions.map((version) => ({ name: this.name, version })));
    return results.flatMap(({ record, value, error }) => {
      if (error && error.code !== "not-found") throw fromWire(error);
      return record && value !== undefined ? [{ version: record.version, value: value as JsonOf<T> }] : [];
    });
  }

  /** Follows it no more. Writes that are not confirmed reject. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const end of [...this.#ending]) end();
    this.#records.close(this.#core);
  }
}

function operation(text: string, value: Json | undefined): Operation {
  const path = formatPath(parsePath(text));
  return { op: value === undefined ? "erase" : "set", ...(path !== "" && { path }), ...(value !== undefined && { value }) };
}

// A write on its way: what it is, which ones go together, and what becomes of it where others have written meanwhile.

import { ConflictError, type ParleyError } from "../errors.js";
import { limits, type Operation, type RecordState, type Written } from "../wire.gen.js";
import { bytesOf, equal, isArray, type Json, take } from "./json.js";
import type { Document } from "./patch.js";
import { get, parsePath } from "./path.js";

export interface WriteOptions {
  /** Only if the record has this version; 0: only if there is none. Else it is a conflict: see RecordOptions.merge. */
  readonly version?: number;
  /** Seconds after which a record that is not written goes; 0: never. */
  readonly ttlSeconds?: number;
  /** How many earlier versions can be read. */
  readonly history?: number;
}

/**
 * What becomes of a write that met another version: the remote one stays and the write is undone ("remote"), it is done all the same
 * ("local"), or the record becomes what the function returns; undefined leaves it as it is.
 */
export type Merge = "remote" | "local" | ((remote: Json | undefined, local: Json | undefined) => Json | undefined);

export interface Write {
  /** Undefined: the record is deleted. */
  operations: readonly Operation[] | undefined;
  options: WriteOptions;
  /** What was seen after it, when it was made. */
  after: Document;
  /** It is not sent together with others: they were refused together. */
  isAlone: boolean;
  /** The connection was lost before the server answered: perhaps it was carried out. */
  isUncertain: boolean;
  /** It is sent, and neither answered nor lost. */
  isUnderway: boolean;
  /** While it was underway this client's identity was told to have written: by this write, as far as can be known before the reply. */
  isTold: boolean;
  written?: Written;
  /** How often its conflicts were merged. */
  merges: number;
  readonly bytes: number;
  resolve(written: Written): void;
  reject(error: ParleyError): void;
}

export function sizeOf(operations: Write["operations"]): number {
  return operations ? bytesOf(JSON.stringify(operations)) : 0;
}

/** The writes that are sent next, as one: those in front that may go together. */
export function nextBatch(writes: readonly Write[]): Write[] {
  const batch: Write[] = [];
  let [operations, bytes, isClosed] = [0, 0, false];
  for (const write of writes) {
    if (write.written) continue;
    const isEmpty = write.operations?.length === 0; // it was merged into the one before
    const joins = write.operations !== undefined && !write.isAlone && Object.keys(write.options).length === 0;
    operations += write.operations?.length ?? 0;
    bytes += write.bytes;
    const fits = joins && !isClosed && operations <= limits.maxWriteOperations && bytes <= limits.maxRecordBytes;
    if (batch.length > 0 && !isEmpty && !fits) break;
    batch.push(write);
    isClosed ||= !joins;
  }
  return batch;
}

/** What a write that waited meets when the record is known again. */
export type Meeting =
  | "nothing" // others have not changed what it writes
  | "conflict"
  | "unknown"; // it may have been carried out, and repeating it would do it twice

/** Compares what a write was made for with what is there. Entries of lists are added, removed and moved whatever others do. */
export function meet(write: Write, before: Document, now: Document, isSameRecord: boolean, isSameVersion: boolean): Meeting {
  if (isSameRecord && isSameVersion && !write.isTold) return "nothing";
  if (!write.operations || !isSameRecord) return equal(before, now) || equal(write.after, now) ? "nothing" : "conflict";
  for (const { op, path = "" } of write.operations) {
    if (op === "set" || op === "erase") {
      const at = parsePath(path);
      const there = get(now, at);
      if (!equal(get(before, at), there) && !equal(get(write.after, at), there)) return "conflict";
      // Erasing a place twice takes away what has moved up.
      if (op === "erase" && write.isUncertain && typeof at.at(-1) === "number") return "unknown";
    } else {
      if (!isArray(now)) return "conflict";
      if (write.isUncertain) return "unknown";
    }
  }
  return "nothing";
}

/** How often one write is merged before its conflict is told. */
export const maxMerges = 8;

/** Makes of writes what shall be written in view of the record as it is. Undefined: they are given up. */
export function merged(writes: readonly Write[], merge: Merge, remote: RecordState, isSameRecord: boolean): readonly Write[] | undefined {
  const [first, last] = [writes[0], writes.at(-1)];
  if (!first || !last || merge === "remote" || writes.some((w) => w.merges >= maxMerges)) return undefined;
  for (const write of writes) {
    write.merges++;
    const { version: _, ...options } = write.options;
    write.options = options;
    // Paths into what was deleted mean nothing in its successor.
    if (!isSameRecord && write.operations) write.operations = whole(write.after);
  }
  if (merge === "local") return writes;
  const value = remote.version === 0 ? undefined : take(remote.value);
  const wanted = merge(value, last.after);
  if (wanted === undefined) return undefined;
  for (const write of writes) write.operations = [];
  first.operations = whole(take(wanted));
  first.options = { ...first.options, version: remote.version };
  return writes;
}

function whole(value: Document): readonly Operation[] | undefined {
  return value === undefined ? undefined : [{ op: "set", value }];
}

export function conflict(current: RecordState | undefined): ConflictError {
  return new ConflictError("Others have changed what was written.", { current, next: "Look at what is there, and write again." });
}

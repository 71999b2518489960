// A write on its way: what it is, which ones go together, and what becomes of it where others have written meanwhile.

import { bytesOf } from "../bytes.js";
import { ConflictError, type ParleyError } from "../errors.js";
import { limits, type Operation, type RecordState, type Written } from "../wire.gen.js";
import { equal, isArray, type Json, take, tooLarge } from "./json.js";
import { applyAll, type Document } from "./patch.js";
import { get, parsePath, type Path } from "./path.js";

export interface WriteOptions {
  /** Only if the record has this version; 0: only if there is none. Else it is a conflict: see RecordOptions.merge. */
  readonly version?: number;
  /** Seconds after which a record that is not written goes; 0: never. */
  readonly ttlSeconds?: number;
  /** How many earlier versions can be read. */
  readonly history?: number;
}

/**
 * What becomes of a write that met another version than it was made for: the remote one stays and the write is undone ("remote"), it is done all the same
 * ("local"), or the record becomes what the function returns; undefined leaves it as it is.
 */
export type Merge = "remote" | "local" | ((remote: Json | undefined, local: Json | undefined) => Json | undefined);

export interface Write {
  /** Undefined: the record is deleted. */
  operations: readonly Operation[] | undefined;
  options: WriteOptions;
  /** The version that it replaces, as it was seen; undefined: whichever is there. */
  seen: number | undefined;
  /** What was seen after it, when it was made. */
  after: Document;
  /** The incarnation that it was made for; 0: that which writes before it create, or whatever is there. */
  target: number;
  /** It is not sent together with others: they were refused together. */
  isAlone: boolean;
  /** The connection was lost before the server answered: perhaps it was carried out. */
  isUncertain: boolean;
  /** The version that was the newest known when it was sent: it is not in there. */
  since: number;
  /** It is sent, and neither answered nor lost. */
  isUnderway: boolean;
  /** The record was read anew while it was underway: perhaps it is in there, and would be seen twice. Its reply tells. */
  isHidden: boolean;
  /** The server has carried it out. It is part of the view until the record has that version here. */
  written?: Written;
  /** The record was read anew since it was sent, and was not there: what it has made, if it has, is deleted. */
  isGone: boolean;
  /** How often its conflicts were merged. */
  merges: number;
  /** Is not made unless this one is. */
  next: Write | undefined;
  bytes: number;
  resolve(written: Written): void;
  reject(error: ParleyError): void;
}

export function newWrite(
  operations: Write["operations"],
  options: WriteOptions,
  { resolve, reject }: Pick<Write, "resolve" | "reject">,
): Write {
  const bytes = sizeOf(operations);
  return { operations, options, seen: undefined, after: undefined, target: 0, isAlone: false, isUncertain: false, since: 0, isUnderway: false, isHidden: false, isGone: false, merges: 0, next: undefined, bytes, resolve, reject };
}

/** The bytes of what is written, about. Throws where no document has room for it. */
function sizeOf(operations: Write["operations"] = []): number {
  const values = operations.map(({ value }) => (value === undefined ? 0 : bytesOf(JSON.stringify(value))));
  const bytes = values.reduce((sum, n) => sum + n, 0);
  if (bytes > limits.maxRecordBytes) throw tooLarge(`The document would be longer than ${limits.maxRecordBytes} bytes.`);
  return operations.reduce((sum, { path = "" }) => sum + path.length, bytes);
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
    const fits = joins && !isClosed && write.target === batch[0]?.target && write.seen === batch[0]?.seen && operations <= limits.maxWriteOperations && bytes <= limits.maxRecordBytes;
    if (batch.length > 0 && !isEmpty && !fits) break;
    batch.push(write);
    isClosed ||= !joins;
  }
  return batch;
}

/** Whether it is the same to do it once or twice, where nobody else does anything. */
export function isRepeatable({ operations = [] }: Write): boolean {
  return operations.every(({ op, path = "" }) => op === "set" || (op === "erase" && typeof parsePath(path).at(-1) !== "number"));
}

/** What has become of writes that were sent as one and have no reply: which document they made, by its place, or they were not carried out. */
export type Fate = number | "lost" | "unknown";

/** A version that the server does not give any more, or not to this client. */
export const missing = Symbol("missing");

/**
 * Judges writes by what the record was, version by version, since one in which they are not: they were carried out where a version is the one
 * before it with them. That somebody else has written the very same is the same, but for entries of lists and for writes that demand a version.
 */
export function fateOf(writes: readonly Write[], documents: readonly (Document | typeof missing)[]): Fate {
  const operations = writes.flatMap((w) => w.operations ?? []);
  const isAnybodys = writes.every((w) => w.options.version === undefined) && operations.every(({ op }) => op === "set" || op === "erase");
  const makes = (before: Document | typeof missing, now: Document | typeof missing): boolean => before !== missing && now !== missing && isMade(before, operations, now);
  const made = documents.findIndex((now, i) => i > 0 && makes(documents[i - 1], now));
  if (made > 0) return isAnybodys ? made : "unknown";
  // What "entries" makes depends on what it was made from.
  if (!documents.includes(missing) && operations.every(({ op }) => op !== "entries")) return "lost";
  const now = documents.at(-1);
  return isAnybodys && makes(now, now) ? documents.length - 1 : "unknown"; // what is there need not be written
}

function isMade(before: Document, operations: readonly Operation[], now: Document): boolean {
  try {
    return equal(applyAll(before, operations), now);
  } catch {
    return false; // the server would have refused it
  }
}

/** What a write that waited meets when the record is known again: whether others have changed what it writes. */
export type Meeting = "nothing" | "conflict";

/**
 * Compares what a write was made for with what is there. Known: the record before all writes that are on their way, and as it was seen after
 * each of them; what is there and known is nobody else's. Of what is in an array the whole array is compared: what others did in it moves its places. Entries of
 * lists are added, removed and moved whatever others do.
 */
export function meet(write: Write, known: readonly Document[], now: Document, isSameRecord: boolean, isSameVersion: boolean): Meeting {
  if (isSameRecord && isSameVersion) return "nothing";
  if (!write.operations || !isSameRecord) return known.some((d) => equal(d, now)) ? "nothing" : "conflict";
  for (const { op, path = "" } of write.operations) {
    const at = toPlace(parsePath(path));
    const isMine = op === "set" || op === "erase" ? known.some((d) => equal(get(d, at), get(now, at))) : isArray(now);
    if (!isMine) return "conflict";
  }
  return "nothing";
}

/** The path up to its first place in an array. */
function toPlace(path: Path): Path {
  const place = path.findIndex((step) => typeof step === "number");
  return place < 0 ? path : path.slice(0, place);
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
    write.seen = undefined;
    write.target = remote.version === 0 ? 0 : remote.incarnation;
  }
  if (merge === "local") {
    // Paths into what was deleted mean nothing in its successor, unless that is written first.
    if (!isSameRecord && first.operations) together([first], whole(first.after));
    return writes;
  }
  const value = remote.version === 0 ? undefined : take(remote.value);
  const wanted = merge(value, last.after);
  if (wanted === undefined) return undefined;
  together(writes, whole(applyAll(undefined, [{ op: "set", value: wanted }])));
  first.options = { ...first.options, version: remote.version };
  return writes;
}

/** Makes the first of writes all of them. */
function together(writes: readonly Write[], operations: Write["operations"]): readonly Write[] {
  const bytes = sizeOf(operations); // it throws before anything is another
  for (const [i, write] of writes.entries()) [write.operations, write.bytes] = i === 0 ? [operations, bytes] : [[], 0];
  return writes;
}

/** Whether it may become one write with others. */
export function isMergeable({ operations, options }: Write): boolean {
  return operations !== undefined && options.ttlSeconds === undefined && options.history === undefined;
}

function whole(value: Document): readonly Operation[] | undefined {
  return value === undefined ? undefined : [{ op: "set", value }];
}

export function conflict(current: RecordState | undefined): ConflictError {
  return new ConflictError("Others have changed what was written.", { current, next: "Look at what is there, and write again." });
}

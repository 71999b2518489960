// A write on its way: what it is, which ones go together, and what becomes of it where others have written meanwhile.
import { bytesOf } from "../bytes.js";
import { ConflictError } from "../errors.js";
import { limits } from "../wire.gen.js";
import { equal, isArray, take, tooLarge } from "./json.js";
import { applyAll, set } from "./patch.js";
import { get, parsePath } from "./path.js";
export function newWrite(operations, options, { resolve, reject }) {
    const bytes = sizeOf(operations);
    return { operations, options, seen: undefined, after: undefined, target: 0, isAlone: false, isUncertain: false, since: 0, isUnderway: false, isHidden: false, isRead: false, merges: 0, next: undefined, bytes, resolve, reject };
}
/** The bytes of what is written, about. Throws where no document has room for it. */
function sizeOf(operations = []) {
    const values = operations.map(({ value }) => (value === undefined ? 0 : bytesOf(JSON.stringify(value))));
    const bytes = values.reduce((sum, n) => sum + n, 0);
    if (bytes > limits.maxRecordBytes)
        throw tooLarge(`The document would be longer than ${limits.maxRecordBytes} bytes.`);
    return operations.reduce((sum, { path = "" }) => sum + path.length, bytes);
}
/** The writes that are sent next, as one: those in front that may go together. */
export function nextBatch(writes) {
    const batch = [];
    let [operations, bytes, isClosed] = [0, 0, false];
    for (const write of writes) {
        if (write.written)
            continue;
        const isEmpty = write.operations?.length === 0; // it was merged into the one before
        const joins = write.operations !== undefined && !write.isAlone && Object.keys(write.options).length === 0;
        operations += write.operations?.length ?? 0;
        bytes += write.bytes;
        const fits = joins && !isClosed && write.target === batch[0]?.target && write.seen === batch[0]?.seen && operations <= limits.maxWriteOperations && bytes <= limits.maxRecordBytes;
        if (batch.length > 0 && !isEmpty && !fits)
            break;
        batch.push(write);
        isClosed ||= !joins;
    }
    return batch;
}
/** Whether it is the same to do it once or twice, where nobody else does anything. */
export function isRepeatable({ operations = [] }) {
    return operations.every(({ op, path = "" }) => op === "set" || (op === "erase" && typeof parsePath(path).at(-1) !== "number"));
}
/** A version that the server does not give any more, or not to this client. */
export const missing = Symbol("missing");
/**
 * Judges writes by what the record was, version by version, since one in which they are not: they were carried out where a version is the one
 * before it with them. That somebody else has written the very same is the same, but for entries of lists and for writes that demand a version.
 */
export function fateOf(writes, documents) {
    const operations = writes.flatMap((w) => w.operations ?? []);
    const isAnybodys = writes.every((w) => w.options.version === undefined) && operations.every(({ op }) => op === "set" || op === "erase");
    const makes = (before, now) => before !== missing && now !== missing && isMade(before, operations, now);
    const made = documents.findIndex((now, i) => i > 0 && makes(documents[i - 1], now));
    if (made > 0)
        return isAnybodys ? made : "unknown";
    // What "entries" makes depends on what it was made from.
    if (!documents.includes(missing) && operations.every(({ op }) => op !== "entries"))
        return "lost";
    const now = documents.at(-1);
    return isAnybodys && makes(now, now) ? documents.length - 1 : "unknown"; // what is there need not be written
}
function isMade(before, operations, now) {
    try {
        return equal(applyAll(before, operations), now);
    }
    catch {
        return false; // the server would have refused it
    }
}
/**
 * Compares what a write was made for with what is there. Known: the record before all writes that are on their way, and as it was seen after
 * each of them; what is there and known is nobody else's. Entries of lists are added, removed and moved whatever others do.
 */
export function meet(write, known, now, isSameRecord, isSameVersion) {
    if (isSameRecord && isSameVersion)
        return "nothing";
    if (!write.operations || !isSameRecord)
        return known.some((d) => equal(d, now)) ? "nothing" : "conflict";
    for (const { op, path = "" } of write.operations) {
        const at = parsePath(path);
        const isMine = op === "set" || op === "erase" ? known.some((d) => equal(get(d, at), get(now, at))) : isArray(now);
        if (!isMine)
            return "conflict";
    }
    return "nothing";
}
/** How often one write is merged before its conflict is told. */
export const maxMerges = 8;
/** Makes of writes what shall be written in view of the record as it is. Undefined: they are given up. */
export function merged(writes, merge, remote, isSameRecord) {
    const [first, last] = [writes[0], writes.at(-1)];
    if (!first || !last || merge === "remote" || writes.some((w) => w.merges >= maxMerges))
        return undefined;
    for (const write of writes) {
        write.merges++;
        const { version: _, ...options } = write.options;
        write.options = options;
        write.seen = undefined;
        write.target = remote.version === 0 ? 0 : remote.incarnation;
        // Paths into what was deleted mean nothing in its successor.
        if (!isSameRecord && write.operations)
            write.operations = whole(write.after);
    }
    if (merge === "local")
        return writes;
    const value = remote.version === 0 ? undefined : take(remote.value);
    const wanted = merge(value, last.after);
    if (wanted === undefined)
        return undefined;
    const operations = whole(set(undefined, [], take(wanted)));
    sizeOf(operations); // it throws, as set does, before anything is another
    for (const write of writes)
        write.operations = [];
    first.operations = operations;
    first.options = { ...first.options, version: remote.version };
    return writes;
}
function whole(value) {
    return value === undefined ? undefined : [{ op: "set", value }];
}
export function conflict(current) {
    return new ConflictError("Others have changed what was written.", { current, next: "Look at what is there, and write again." });
}
//# sourceMappingURL=write.js.map
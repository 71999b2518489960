import { ConflictError, type ParleyError } from "../errors.js";
import { type Operation, type RecordState, type Written } from "../wire.gen.js";
import { type Json } from "./json.js";
import { type Document } from "./patch.js";
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
export declare function newWrite(operations: Write["operations"], options: WriteOptions, { resolve, reject }: Pick<Write, "resolve" | "reject">): Write;
/** The writes that are sent next, as one: those in front that may go together. */
export declare function nextBatch(writes: readonly Write[]): Write[];
/** Whether it is the same to do it once or twice, where nobody else does anything. */
export declare function isRepeatable({ operations }: Write): boolean;
/** What has become of writes that were sent as one and have no reply: which document they made, by its place, or they were not carried out. */
export type Fate = number | "lost" | "unknown";
/** A version that the server does not give any more, or not to this client. */
export declare const missing: unique symbol;
/**
 * Judges writes by what the record was, version by version, since one in which they are not: they were carried out where a version is the one
 * before it with them. That somebody else has written the very same is the same, but for entries of lists and for writes that demand a version.
 */
export declare function fateOf(writes: readonly Write[], documents: readonly (Document | typeof missing)[]): Fate;
/** What a write that waited meets when the record is known again: whether others have changed what it writes. */
export type Meeting = "nothing" | "conflict";
/**
 * Compares what a write was made for with what is there. Known: the record before all writes that are on their way, and as it was seen after
 * each of them; what is there and known is nobody else's. Of what is in an array the whole array is compared: what others did in it moves its places. Entries of
 * lists are added, removed and moved whatever others do.
 */
export declare function meet(write: Write, known: readonly Document[], now: Document, isSameRecord: boolean, isSameVersion: boolean): Meeting;
/** How often one write is merged before its conflict is told. */
export declare const maxMerges = 8;
/** Makes of writes what shall be written in view of the record as it is. Undefined: they are given up. */
export declare function merged(writes: readonly Write[], merge: Merge, remote: RecordState, isSameRecord: boolean): readonly Write[] | undefined;
/** Whether it may become one write with others. */
export declare function isMergeable({ operations, options }: Write): boolean;
export declare function conflict(current: RecordState | undefined): ConflictError;

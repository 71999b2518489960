import type { Operation } from "../wire.gen.js";
import { type Json } from "./json.js";
/** Longer parts that differ are not compared entry by entry. */
export declare const maxDiffEntries = 2048;
/** One entry's way: inserted, removed, or moved, with exact places. */
export type Step = {
    readonly op: "insert";
    readonly value: string;
    readonly at: number;
} | {
    readonly op: "remove";
    readonly value: string;
    readonly at: number;
} | {
    readonly op: "move";
    readonly value: string;
    readonly at: number;
    readonly to: number;
};
/** The entries of a document that is a list; undefined: it is none. */
export declare function entriesOf(document: Json): readonly string[] | undefined;
/** Inserts, removes or moves one entry, in these entries. A place beyond the end is the end; what is not there is not removed or moved. */
export declare function step(entries: string[], { op, value, at, to }: Operation): void;
/** The place of an equal entry that is nearest to a place, the first of two; -1: there is none. */
export declare function nearest(entries: readonly string[], value: string, at: number): number;
/**
 * Steps that make one list of the other: removals from the back to the front, then from the front on what is inserted or moved. Of the
 * entries that stay, the longest run that keeps its order is not moved. Undefined: too much differs.
 */
export declare function diff(from: readonly string[], to: readonly string[]): Step[] | undefined;

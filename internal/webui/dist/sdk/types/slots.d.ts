import { type Slot } from "./wire.gen.js";
/** A slot has another publication, or none. */
export interface SlotChange {
    readonly mid: string;
    readonly generation: number;
    readonly before: string | undefined;
    readonly after: string | undefined;
}
export declare class SlotTable {
    #private;
    /** Notes a slot event; undefined where it is older than what is known. */
    apply(slot: Slot): SlotChange | undefined;
    /** Replaces the table by what a resync tells; slots that it does not name are empty. */
    replace(slots: readonly Slot[]): SlotChange[];
    /** A new session numbers its slots anew. */
    clear(): void;
    /** The m-line that a publication fills. */
    holder(publication: string): {
        readonly mid: string;
        readonly generation: number;
    } | undefined;
    /** Whether this is still what fills the slot. */
    isCurrent(mid: string, generation: number): boolean;
    /** A publication goes on under another id. */
    rename(before: string, after: string): void;
}
/** How many slots are offered: pairs of audio and video, and video-only ones. */
export interface SlotCount {
    readonly pairs: number;
    readonly videos: number;
}
export declare const firstSlots: SlotCount;
/** The count after a wish for more. Slots are only ever added, and within the limits. */
export declare function grow(have: SlotCount, wanted: SlotCount): SlotCount;

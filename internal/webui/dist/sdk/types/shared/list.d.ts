import type { ParleyError } from "../errors.js";
import { TypedEventTarget } from "../events.js";
export interface ListEvents {
    /** These lead, in their order, from the entries as they were told before to those of now. */
    entryadded: {
        readonly entry: string;
        readonly at: number;
    };
    entryremoved: {
        readonly entry: string;
        readonly at: number;
    };
    entrymoved: {
        readonly entry: string;
        readonly at: number;
        readonly to: number;
    };
    /** list.entries changed; the events of single entries come first, unless too many differ. */
    change: Record<never, never>;
    ended: {
        readonly error: ParleyError;
    };
}
/** Strings in an order, the same one several times perhaps. Who add, remove and move at once do not undo one another. */
export declare class SharedList extends TypedEventTarget<ListEvents> {
    #private;
    readonly name: string;
    /** The entries, in their order. Empty where there is no list. */
    get entries(): readonly string[];
    get version(): number;
    /** What is seen is what the server has. False: the connection is lost, or it is what this browser has kept. */
    get isLive(): boolean;
    /** Some writes are not part of it on the server yet, as far as is known here. */
    get isPending(): boolean;
    /** Adds an entry at the end. */
    add(entry: string): Promise<void>;
    /** Inserts an entry at a place; one beyond the end is the end. */
    insert(entry: string, at: number): Promise<void>;
    /** Removes an entry: of several equal ones the one nearest to a place. What is not there is not removed. */
    remove(entry: string, at?: number): Promise<void>;
    /** Moves an entry to the place that it shall have; of several equal ones the one nearest to the place from. */
    move(entry: string, to: number, from?: number): Promise<void>;
    /**
     * Makes the list this one. What others change meanwhile stays: only what differs is written, unless that is most of a long list. Where that is more
     * than one write may have it is written in parts: when one of them is refused, the promise rejects as that one, those before it stay, those behind
     * it are not written, and the entries are what the server has.
     */
    set(entries: readonly string[]): Promise<void>;
    /** Follows it no more. Writes that are not confirmed reject. */
    close(): void;
}

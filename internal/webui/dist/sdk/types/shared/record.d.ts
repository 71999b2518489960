import { type ParleyError } from "../errors.js";
import { TypedEventTarget } from "../events.js";
import { type Operation } from "../wire.gen.js";
import type { ChangeInfo } from "./core.js";
import { type Json, type JsonOf } from "./json.js";
import type { WriteOptions } from "./write.js";
export interface RecordEvents {
    /** The record is another one than before, by whoever wrote. */
    change: Record<never, never>;
    /** record.provided changed. */
    providedchange: {
        readonly provided: boolean;
    };
    /** What this browser had kept was not written (see JoinOptions.cache): others have written there since, or it may have been written before. */
    discarded: {
        readonly operations: readonly Operation[];
        readonly error: ParleyError;
    };
    /** It is not followed any more: it was closed, it is not allowed any more, or the room is over. */
    ended: {
        readonly error: ParleyError;
    };
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
export declare class SharedRecord<T = Json> extends TypedEventTarget<RecordEvents> {
    #private;
    readonly name: string;
    /** 1 when it was created, and one more with each write; 0: it does not exist. One's own writes count when the server has them. */
    get version(): number;
    get exists(): boolean;
    /** What is seen is what the server has. False: the connection is lost, or it is what this browser has kept. */
    get isLive(): boolean;
    /** Some writes are not part of it on the server yet, as far as is known here. */
    get isPending(): boolean;
    /** A client that listens to a pattern provides this record. */
    get provided(): boolean;
    /** The document, or what is at a path in it; undefined: nothing. Nobody changes what is returned. */
    get(): JsonOf<T> | undefined;
    get(path: string): Json | undefined;
    has(path?: string): boolean;
    /** Replaces the document: the one that was seen here if it was opened with a merge, else whatever is there. See RecordOptions.merge. */
    set(value: T & JsonOf<T>, options?: WriteOptions): Promise<void>;
    /** Sets what is at a path: "a.b[1].c". Missing parents are made. */
    set<V>(path: string, value: V & JsonOf<V>, options?: WriteOptions): Promise<void>;
    /** Takes away what is at a path. */
    erase(path: string, options?: WriteOptions): Promise<void>;
    /** Sets and erases what is at several paths, in their order, all of it or nothing. */
    patch(changes: Changes, options?: WriteOptions): Promise<void>;
    /** Deletes the record. Who follows it goes on to do so. */
    delete(options?: Pick<WriteOptions, "version">): Promise<void>;
    /** Calls when what is at a path, or the document, has another value, deeply compared, and by whom. Returns a function that ends it. */
    subscribe(path: string, fn: (value: Json | undefined, info: ChangeInfo) => void, options?: SubscribeOptions): () => void;
    subscribe(fn: (value: JsonOf<T> | undefined, info: ChangeInfo) => void, options?: SubscribeOptions): () => void;
    /** Earlier versions that the server has kept, the newest first. */
    history(most?: number): Promise<readonly Version<T>[]>;
    /** Follows it no more. Writes that are not confirmed reject. */
    close(): void;
}

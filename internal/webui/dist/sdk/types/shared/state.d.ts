import type { ListenKind } from "../wire.gen.js";
import type { RecordOptions } from "./core.js";
import { type Json } from "./json.js";
import { type ListenHandlers } from "./listening.js";
import { SharedList } from "./list.js";
import { Presence } from "./presence.js";
import { SharedRecord } from "./record.js";
import { RPC } from "./rpc.js";
import { Topic } from "./topic.js";
/** What a record is, without following it. */
export interface Head {
    readonly version: number;
    /** When it goes, unless it is written before. */
    readonly expires: Date | undefined;
}
/** State that applications share. What is subscribed to or provided is kept while the connection is lost. */
export declare class SharedState {
    #private;
    /** Who is there. */
    readonly presence: Presence;
    /** Follows a record, whether it exists or not. Resolves when it is here. Whoever opened a record first has decided its options. */
    record<T = Json>(name: string, options?: RecordOptions): Promise<SharedRecord<T>>;
    /** Follows a list, whether it exists or not. Resolves when it is here. */
    list(name: string, options?: RecordOptions): Promise<SharedList>;
    /** Reads a record, or what is at a path in it, once; undefined: nothing is there. */
    snapshot(name: string, path?: string): Promise<Json | undefined>;
    /** Asks for a record's version. Rejects with "not-found" where there is none. */
    head(name: string): Promise<Head>;
    /** Asks whether a record exists. */
    has(name: string): Promise<boolean>;
    event(name: string): Topic;
    rpc(name: string): RPC;
    /**
     * Provides what others subscribe to: of the names that match the pattern, in which "*" stands for any text, each has one provider.
     * Resolves with a function that ends it.
     */
    listen(pattern: string, handlers: ListenHandlers, kind?: ListenKind): Promise<() => void>;
}

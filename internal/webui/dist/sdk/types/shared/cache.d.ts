import type { Operation, Scope } from "../wire.gen.js";
import type { Json } from "./json.js";
/** A record as it was last known. */
export interface Kept {
    readonly name: string;
    readonly incarnation: number;
    /** 0: there was no such record. */
    readonly version: number;
    readonly value?: Json;
    /** Writes that the server has not confirmed, in their order. */
    readonly writes: readonly (readonly Operation[])[];
}
/** Where records of one scope are kept. */
export interface Cache {
    load(name: string): Promise<Kept | undefined>;
    /** Replaces what is kept of a record; writes of one moment go together. */
    save(kept: Kept): void;
    forget(name: string): void;
}
/** The caches of one room's scopes. */
export declare class RoomCache {
    #private;
    /** Undefined: this browser has none, or another page has it. */
    static open(origin: string, room: string): Promise<RoomCache | undefined>;
    private constructor();
    of(scope: Scope): Cache;
    /** Lets another page have it. */
    close(): void;
}
/** What a record was last known to be in this browser, also before there is a connection; undefined: nothing is known. */
export declare function lastKnown(room: string, name: string, { url, scope }?: LastKnownOptions): Promise<Json | undefined>;
export interface LastKnownOptions {
    /** The server's address; default: where the page came from. */
    readonly url?: string | URL;
    readonly scope?: Scope;
}

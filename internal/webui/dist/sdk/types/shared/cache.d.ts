import type { Operation, Scope } from "../wire.gen.js";
import type { Json } from "./json.js";
/** A write that the server has not confirmed. */
export interface KeptWrite {
    readonly operations: readonly Operation[];
    /** It was on its way: perhaps the server has carried it out. */
    readonly isSent: boolean;
    /** The version from which on it may be in the record. */
    readonly since?: number;
}
/** A record as it was last known. */
export interface Kept {
    readonly name: string;
    readonly incarnation: number;
    /** 0: there was no such record. */
    readonly version: number;
    readonly value?: Json;
    /** In their order. */
    readonly writes: readonly KeptWrite[];
}
/** Where records of one scope are kept. */
export interface Cache {
    load(name: string): Promise<Kept | undefined>;
    /** Replaces what is kept of a record; writes of one moment go together. */
    save(kept: Kept): void;
    forget(name: string): void;
}
/** The caches of one room's scopes, for one person. */
export declare class RoomCache {
    #private;
    /** Identity: who has asked for one, or is given one by a token; else empty. Undefined: this browser has none, or another page has it. */
    static open(origin: string, room: string, identity: string): Promise<RoomCache | undefined>;
    private constructor();
    of(scope: Scope): Cache;
    /** Lets another page have it. */
    close(): void;
}
/** What a record was last known to be in this browser, also before there is a connection; undefined: nothing is known. */
export declare function lastKnown(room: string, name: string, options?: LastKnownOptions): Promise<Json | undefined>;
export interface LastKnownOptions {
    /** The server's address; default: where the page came from. */
    readonly url?: string | URL;
    readonly scope?: Scope;
    /** Who has joined with it, or with a token that says so. */
    readonly identity?: string;
}

import { type ParleyError } from "../errors.js";
import type { Operation, RecordChanged, RecordDeleted, RecordProvided, RecordResult, RecordWanted, Written } from "../wire.gen.js";
import type { Kept } from "./cache.js";
import { type Json } from "./json.js";
import { type Asker } from "./link.js";
import type { Document } from "./patch.js";
import { type Path } from "./path.js";
import { type Merge, type WriteOptions } from "./write.js";
export interface RecordOptions {
    /**
     * What becomes of a write that met another version than it was made for. Where this is given, set(value) replaces the document that was seen here,
     * and no other. Without it set(value) replaces whatever is there, so the last writer wins, and what others wrote at the same time is lost: write by paths
     * where they do. Writes that waited while the connection was lost meet what others wrote meanwhile, however long it was lost; by path they meet in no
     * other case. Those that did are undone ("remote") where this is not given, as they are old by then. What is written with a version always meets.
     */
    readonly merge?: Merge;
    /** Stored, if this client creates the record. Default: in the server's scope. */
    readonly durable?: boolean;
    /** Of the record, if this client creates it; not of one that somebody else created: see WriteOptions. */
    readonly ttlSeconds?: number;
    readonly history?: number;
}
/** What a record needs of its scope. */
export interface CoreOwner {
    readonly asker: Asker;
    /** Counts a write that waits, or throws where there is no room for it. */
    admit(bytes: number): void;
    settled(bytes: number): void;
    /** Writes that wait have become so much longer. */
    resized(bytes: number): void;
    /** A record has something to send. */
    ready(core: Core): void;
    /** Reads it anew. */
    resubscribe(core: Core): void;
    /** Reads records once. */
    read(wanted: readonly RecordWanted[]): Promise<readonly (RecordResult & {
        readonly value: Json | undefined;
    })[]>;
    /** A record is another one than it was, or its writes are. */
    keep(core: Core): void;
}
/** What a record's views are told, beside what they watch. Calls come after the record has changed. */
export interface CoreObserver {
    provided?(provided: boolean): void;
    ended(error: ParleyError): void;
    /** What this browser had kept was not written. */
    discarded?(operations: readonly Operation[], error: ParleyError): void;
}
/** What has made a value what it is. */
export interface ChangeInfo {
    /** The identity of who wrote; undefined: nobody, nobody alone, or it is not known, as it was read anew or what was seen here is undone. */
    readonly by: string | undefined;
    /** Of the record: see SharedRecord.version. */
    readonly version: number;
}
interface Watcher {
    readonly path: Path;
    /** What it was told last, and what it will be. */
    last: Document;
    next: Document;
    /** Who has made that. */
    by: string | undefined;
    fn(value: Document, before: Document, info: ChangeInfo): void;
}
/** What the server tells of a record. */
type Event = RecordChanged | RecordDeleted | RecordProvided;
export declare class Core {
    #private;
    readonly name: string;
    readonly subscribed: Promise<void>;
    constructor(name: string, options: RecordOptions, owner: CoreOwner);
    get view(): Document;
    get version(): number;
    get isProvided(): boolean;
    /** Whether the server tells each change. */
    get isLive(): boolean;
    /** What is worth keeping in this browser. Operations on lists are not: to repeat them may do them twice. */
    get kept(): Kept;
    /** Whether there are writes whose version is not here. */
    get isPending(): boolean;
    /** What is named when subscribing again. */
    get have(): {
        readonly name: string;
        readonly incarnation?: number;
        readonly version?: number;
    };
    observe(observer: CoreObserver): () => void;
    /** Calls with what is at a path when that is another value, deeply compared, and with the one that it was called with before. */
    watch(path: Path, fn: Watcher["fn"]): () => void;
    /** Writes, at once as it is seen here; resolves when the server has carried it out, and its version is here. */
    write(operations: readonly Operation[] | undefined, options?: WriteOptions): Promise<Written>;
    /** Writes the whole document: where it is said how to merge, only in place of what was seen. */
    replace(operation: Operation, options?: WriteOptions): Promise<Written>;
    /** Writes in parts. What is behind one that is not carried out is not written; the promise then rejects as that one. */
    writeParts(parts: readonly (readonly Operation[])[]): Promise<Written>;
    /** What this browser has kept. Its writes may have been carried out: they meet the record when the server has told it. */
    known({ incarnation, version, value, writes }: Kept): void;
    /** How often it was subscribed to: only the newest result counts. */
    get asks(): number;
    /** It is subscribed to. */
    asked(): number;
    /** The result of subscribing. */
    taken({ record, error }: RecordResult): void;
    told(event: Event): void;
    /** The connection is lost: what is not sent is old when it is back. */
    apart(): void;
    /** The session goes on, and the replica has all that was told meanwhile: what waited meets that. */
    together(): void;
    /** The server tells no more of it, until it is subscribed to again. */
    lose(): void;
    /** It is over: not allowed any more, closed, or the session has ended. */
    end(error: ParleyError): void;
    /** Sends what is next; undefined: nothing can be sent now. */
    send(): Promise<void> | undefined;
}
export {};

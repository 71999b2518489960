import type { RecordChanged, RecordDeleted, RecordState, Written } from "../wire.gen.js";
import { type Document } from "./patch.js";
import { type Write } from "./write.js";
/** What an event means to a replica. */
export type Heard = "applied" | "known" | "lost";
export declare class Replica {
    #private;
    /** As the server has it. */
    get document(): Document;
    /** The document with the writes that are on their way. */
    get view(): Document;
    /** 0: there is no such record. */
    get version(): number;
    get incarnation(): number;
    /** Whether the server tells each change. */
    get isLive(): boolean;
    /** Those that are not part of the document, oldest first. */
    get writes(): readonly Write[];
    /** What is named when subscribing again. */
    get have(): {
        readonly incarnation: number;
        readonly version: number;
    } | undefined;
    /** The server tells no more what changes. */
    lose(): void;
    /** What was known before there was a connection. */
    known(incarnation: number, version: number, document: Document): void;
    /** The record as it is, from the reply to the newest subscription, or from a conflict. */
    take({ incarnation, version, same, value }: RecordState): void;
    /** Docs/protocol.md, section 18.2: applied iff it is the next version, or the first and there is nothing. */
    changed({ incarnation, version, operations }: RecordChanged): Heard;
    deleted({ incarnation, version }: Pick<RecordDeleted, "incarnation" | "version">): Heard;
    /** The newest version that is known of an incarnation. */
    newest(incarnation: number): number;
    add(write: Write): void;
    /** Takes writes out; returns those that were in. */
    drop(gone: readonly Write[]): readonly Write[];
    /** The server has carried out writes, as one. What was made behind their creation of the record is for that. */
    acknowledge(batch: readonly Write[], written: Written): void;
    /** Those of these writes that are not underway have met the record that is here now, and are for that. */
    retarget(met: readonly Write[]): void;
    /** Makes the view anew. Writes are out when the document has them. */
    see(): void;
}
/**
 * The document with writes that are on their way. One that no longer fits what others have made of the document is the server's to refuse.
 * Calls after each that is shown, with the document so far, which changes when that returns.
 */
export declare function show(document: Document, writes: readonly Write[], after?: (value: Document, write: Write) => void): Document;

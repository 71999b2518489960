import type { RecordChanged, RecordDeleted, RecordState, Written } from "../wire.gen.js";
import { type Document } from "./patch.js";
import type { Write } from "./write.js";
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
    /** Which creation of the record is written to; 0: none is known. */
    get target(): number;
    /** Whether the server tells each change. */
    get isLive(): boolean;
    get writes(): readonly Write[];
    /** What is named when subscribing again. */
    get have(): {
        readonly incarnation: number;
        readonly version: number;
    } | undefined;
    /** The server tells no more what changes. */
    lose(): void;
    /** The record as it is, from the reply to a subscription. */
    take({ incarnation, version, same, value }: RecordState): void;
    /**
     * Docs/protocol.md, section 18.2: applied iff it is the next version, or the first and there is nothing. The event of one's own write may
     * come before the reply: the write must not be seen twice.
     */
    changed({ incarnation, version, operations }: RecordChanged, isOwn: boolean): Heard;
    deleted({ incarnation, version }: Pick<RecordDeleted, "incarnation" | "version">): Heard;
    add(write: Write): void;
    drop(...gone: readonly Write[]): void;
    /** The server has carried out a write. It is part of the view until its version is told. */
    acknowledge(write: Write, written: Written): void;
    /** Makes the view anew. */
    settle(): void;
}

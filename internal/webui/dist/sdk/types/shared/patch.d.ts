import type { Operation } from "../wire.gen.js";
import { type Json } from "./json.js";
/** A document, or none: there is no such record. */
export type Document = Json | undefined;
/** Applies operations in order: all of them, or it throws. */
export declare function applyAll(document: Document, operations: readonly Operation[]): Json;
/** What operations have made of a document so far. Of what it began with it copies each object and array that they change, once. */
export declare class Draft {
    #private;
    constructor(document: Document);
    /** As it is until the next operation. */
    get value(): Document;
    /** Applies operations in order; undefined deletes the record. Where it throws, the draft is of no more use. */
    apply(operations: readonly Operation[] | undefined): void;
    /** Nobody changes any more what it returns. */
    done(): Document;
}

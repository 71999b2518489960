import type { Operation } from "../wire.gen.js";
import { type Json } from "./json.js";
import { type Path } from "./path.js";
/** A document, or none: there is no such record. */
export type Document = Json | undefined;
/** Applies operations in order: all of them, or it throws. */
export declare function applyAll(document: Document, operations: readonly Operation[]): Json;
/** The document with a value at the path. Missing parents, and null in their place, are made. */
export declare function set(document: Document, path: Path, value: Json): Json;
/** The document without what is at the path. What follows in an array moves up. */
export declare function erase(document: Document, path: Path): Document;

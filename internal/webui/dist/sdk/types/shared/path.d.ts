import { type Json } from "./json.js";
/** Steps to a part of a document: a string is a member of an object, a number a place in an array. None: its root. */
export type Path = readonly (string | number)[];
export declare function parsePath(text: string): Path;
/** The path as parsePath reads it, the same for all ways to write it. */
export declare function formatPath(path: Path): string;
/** What is at a path; undefined: nothing. */
export declare function get(document: Json | undefined, path: Path): Json | undefined;

import { LimitError, ParleyError } from "../errors.js";
/** A JSON value that nobody changes any more. */
export type Json = null | boolean | number | string | readonly Json[] | {
    readonly [key: string]: Json;
};
/** T as a JSON value: deeply readonly, and never where T has something that JSON does not know. */
export type JsonOf<T> = [Json] extends [T] ? T : Frozen<T>;
type Frozen<T> = T extends null | boolean | number | string ? T : T extends undefined | bigint | symbol | ((...of: never[]) => unknown) ? never : {
    readonly [K in keyof T]: JsonOf<T[K]>;
};
export type JsonObject = {
    readonly [key: string]: Json;
};
export declare function isObject(value: Json | undefined): value is JsonObject;
export declare function isArray(value: Json | undefined): value is readonly Json[];
export declare function badRequest(message: string, next?: string): ParleyError;
export declare function tooLarge(message: string, next?: string): LimitError;
export declare function checkKey(key: string): void;
/**
 * Copies and freezes a value of the application, or of the server. Throws where it is not JSON within the limits of documents, or without
 * them nested too deep.
 */
export declare function take(value: unknown, level?: number, limited?: boolean): Json;
export declare function tooDeep(): LimitError;
export declare function tooMany(): LimitError;
/** Half a surrogate pair is no character: the server would replace it too. */
export declare function wellFormed(text: string): string;
/** The number of levels: 0 for what has none below it. */
export declare function depth(value: Json): number;
/** Compares deeply. What two versions of a document share costs nothing. */
export declare function equal(a: Json | undefined, b: Json | undefined): boolean;
/** Freezes what the server has passed on from another client, where no more is known of it than that it is JSON. */
export declare function freeze(value: unknown): Json | undefined;
/** A value for an event or an RPC: undefined is none. It is no document, so it may have any keys. */
export declare function payload(what: string, value: unknown, maxBytes: number): {
    value?: Json;
};
/** The rule for names of records, events and RPCs, and for patterns. */
export declare function checkName(name: string): void;
export {};

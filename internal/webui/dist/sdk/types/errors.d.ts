import type * as wire from "./wire.gen.js";
/** The server's codes, and those of faults that only a client sees. */
export type ErrorCode = wire.Code | "connection" | "no-media" | "origin-refused" | "playback" | "insecure-origin" | "device-denied" | "device-missing" | "device-busy" | "device-failed";
export interface ErrorDetails {
    /** What to do about it, for a person. */
    readonly next?: string | undefined;
    /** When it may go better. */
    readonly retrySeconds?: number | undefined;
    readonly cause?: unknown;
}
/** The base of everything that Parley's promises reject with (an aborted call rejects with its signal's reason). */
export declare class ParleyError extends Error {
    readonly name: string;
    readonly code: ErrorCode;
    readonly next: string | undefined;
    readonly retrySeconds: number | undefined;
    constructor(code: ErrorCode, message: string, details?: ErrorDetails);
}
/** The server cannot be reached, or the connection was lost. */
export declare class ConnectionError extends ParleyError {
    readonly name = "ConnectionError";
    constructor(message: string, details?: ErrorDetails);
}
/** The server did not answer in time. */
export declare class TimeoutError extends ParleyError {
    readonly name = "TimeoutError";
    constructor(message: string);
}
/** No token, or one that the server does not accept. */
export declare class AccessError extends ParleyError {
    readonly name = "AccessError";
}
/** What a token can grant. */
export declare const grantNames: readonly ["publish", "subscribe", "publishData", "admin"];
export type Grant = (typeof grantNames)[number];
/** The participant's grants do not allow it. */
export declare class PermissionError extends ParleyError {
    readonly name = "PermissionError";
    /** The grant that is missing, where the SDK knew before asking. */
    readonly grant: Grant | undefined;
    constructor(message: string, details?: ErrorDetails & {
        readonly grant?: Grant;
    });
}
/** Beyond a limit of size, number or speed, or the server is full or going down. */
export declare class LimitError extends ParleyError {
    readonly name = "LimitError";
}
/** There is no such participant, publication or session. */
export declare class NotFoundError extends ParleyError {
    readonly name = "NotFoundError";
}
/** A record was another version than a write was made for; the write is undone. */
export declare class ConflictError extends ParleyError {
    readonly name = "ConflictError";
    /** The record as it is, where it may be read. */
    readonly current: wire.RecordState | undefined;
    constructor(message: string, details?: ErrorDetails & {
        readonly current?: wire.RecordState | undefined;
    });
}
/** Media could not be negotiated, or do not get through. */
export declare class MediaError extends ParleyError {
    readonly name = "MediaError";
}
/** The session is over: left, kicked or replaced. */
export declare class EndedError extends ParleyError {
    readonly name = "EndedError";
}
/** A camera, microphone or screen could not be opened. */
export declare class DeviceError extends ParleyError {
    readonly name = "DeviceError";
}
/** The error for a grant that the token does not give. */
export declare function forbidden(grant: Grant): PermissionError;
/** The error for a source that the grants leave out. */
export declare function forbiddenSource(source: wire.Source): PermissionError;
/** The class that fits an error which the server sent. */
export declare function fromWire(e: wire.Error): ParleyError;
/** Any thrown value as a ParleyError. */
export declare function asParleyError(reason: unknown, code?: ErrorCode): ParleyError;
/** What somebody has thrown, in words: it may be anything. */
export declare function textOf(reason: unknown): string;
/** Whether what was refused with this may succeed later. */
export declare function isPassing(error: ParleyError): boolean;

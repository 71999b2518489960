// What can go wrong, as classes: each error has a code that never changes its meaning and, where there is one, the next step.

import type * as wire from "./wire.gen.js";

/** The server's codes, and those of faults that only a client sees. */
export type ErrorCode =
  | wire.Code
  | "connection" // no connection to the server, or it was lost
  | "no-media" // signalling works, but media do not get through
  | "origin-refused" // the server takes no calls from pages of this address
  | "playback" // the browser does not play sound before the user has done something
  | "insecure-origin" // the page is neither https nor localhost: browsers then hide devices
  | "device-denied" // the user, the browser or the system refused access
  | "device-missing" // no such device
  | "device-busy" // another program uses the device
  | "device-failed"; // anything else about a device

export interface ErrorDetails {
  /** What to do about it, for a person. */
  readonly next?: string | undefined;
  /** When it may go better. */
  readonly retrySeconds?: number | undefined;
  readonly cause?: unknown;
}

/** The base of everything that Parley's promises reject with (an aborted call rejects with its signal's reason). */
export class ParleyError extends Error {
  override readonly name: string = "ParleyError";
  readonly code: ErrorCode;
  readonly next: string | undefined;
  readonly retrySeconds: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.next = details.next;
    this.retrySeconds = details.retrySeconds;
  }
}

/** The server cannot be reached, or the connection was lost. */
export class ConnectionError extends ParleyError {
  override readonly name = "ConnectionError";

  constructor(message: string, details: ErrorDetails = {}) {
    super("connection", message, { next: "Check the network and the server's address, then join again.", ...details });
  }
}

/** The server did not answer in time. */
export class TimeoutError extends ParleyError {
  override readonly name = "TimeoutError";

  constructor(message: string) {
    super("timeout", message, { next: "Try again; the network may be slow." });
  }
}

/** No token, or one that the server does not accept. */
export class AccessError extends ParleyError {
  override readonly name = "AccessError";
}

/** What a token can grant. */
export const grantNames = ["publish", "subscribe", "publishData", "admin"] as const;
export type Grant = (typeof grantNames)[number];

/** The participant's grants do not allow it. */
export class PermissionError extends ParleyError {
  override readonly name = "PermissionError";
  /** The grant that is missing, where the SDK knew before asking. */
  readonly grant: Grant | undefined;

  constructor(message: string, details: ErrorDetails & { readonly grant?: Grant } = {}) {
    super("forbidden", message, details);
    this.grant = details.grant;
  }
}

/** Beyond a limit of size, number or speed, or the server is full or going down. */
export class LimitError extends ParleyError {
  override readonly name = "LimitError";
}

/** There is no such participant, publication or session. */
export class NotFoundError extends ParleyError {
  override readonly name = "NotFoundError";
}

/** A record was another version than a write was made for; the write is undone. */
export class ConflictError extends ParleyError {
  override readonly name = "ConflictError";
  /** The record as it is, where it may be read. */
  readonly current: wire.RecordState | undefined;

  constructor(message: string, details: ErrorDetails & { readonly current?: wire.RecordState | undefined } = {}) {
    super("conflict", message, details);
    this.current = details.current;
  }
}

/** Media could not be negotiated, or do not get through. */
export class MediaError extends ParleyError {
  override readonly name = "MediaError";
}

/** The session is over: left, kicked or replaced. */
export class EndedError extends ParleyError {
  override readonly name = "EndedError";
}

/** A camera, microphone or screen could not be opened. */
export class DeviceError extends ParleyError {
  override readonly name = "DeviceError";
}

const missingGrant: Record<Grant, string> = {
  publish: "publish tracks",
  subscribe: "receive tracks",
  publishData: "send data messages",
  admin: "act on other participants",
};

/** The error for a grant that the token does not give. */
export function forbidden(grant: Grant): PermissionError {
  const claim = { publish: "canPublish", subscribe: "canSubscribe", publishData: "canPublishData", admin: "roomAdmin" }[grant];
  return new PermissionError(`You may not ${missingGrant[grant]} in this room.`, {
    grant,
    next: `Ask for a token whose video grant has "${claim}": true.`,
  });
}

/** The error for a source that the grants leave out. */
export function forbiddenSource(source: wire.Source): PermissionError {
  return new PermissionError(`You may not publish "${source}" in this room.`, {
    grant: "publish",
    next: 'Ask for a token that has it in "canPublishSources".',
  });
}

/** The class that fits an error which the server sent. */
export function fromWire(e: wire.Error): ParleyError {
  const details: ErrorDetails = { next: e.next, retrySeconds: e.retrySeconds };
  switch (e.code) {
    case "unauthorized":
      return new AccessError(e.code, e.message, details);
    case "forbidden":
      return new PermissionError(e.message, details);
    case "too-large":
    case "limit":
    case "rate":
    case "overloaded":
    case "draining":
      return new LimitError(e.code, e.message, details);
    case "not-found":
    case "session-expired":
      return new NotFoundError(e.code, e.message, details);
    case "sdp":
    case "unsupported-codec":
      return new MediaError(e.code, e.message, details);
    case "replaced":
    case "kicked":
    case "left":
    case "slow-reader":
      return new EndedError(e.code, e.message, details);
    case "conflict":
      return new ConflictError(e.message, { ...details, current: e.current });
    case "timeout":
    case "no-provider":
    case "rpc-failed":
    case "bad-request":
    case "protocol":
    case "unsupported":
    case "internal":
      return new ParleyError(e.code, e.message, details);
    default:
      return unknownCode(e.code, e.message, details);
  }
}

// A newer server may know codes that this SDK does not; the compiler proves that all known ones are handled above.
function unknownCode(code: never, message: string, details: ErrorDetails): ParleyError {
  return new ParleyError(code, message, details);
}

/** Any thrown value as a ParleyError. */
export function asParleyError(reason: unknown, code: ErrorCode = "internal"): ParleyError {
  if (reason instanceof ParleyError) return reason;
  return new ParleyError(code, textOf(reason), { cause: reason });
}

/** What somebody has thrown, in words: it may be anything. */
export function textOf(reason: unknown): string {
  try {
    return String(reason instanceof Error ? reason.message : reason);
  } catch {
    return "Something was thrown that has no text.";
  }
}

/** Whether what was refused with this may succeed later. */
export function isPassing(error: ParleyError): boolean {
  switch (error.code) {
    case "connection":
    case "timeout":
    case "rate":
    case "overloaded":
    case "internal":
      return true;
    default:
      return false;
  }
}

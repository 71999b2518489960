// What went wrong, in words for the person it went wrong for: the cause and the next step.

import type { InvitationFault } from "./invitation.js";
import { isTooLong } from "./room-name.js";

export type DeviceKind = "camera" | "microphone" | "screen";

export type Permission = "granted" | "denied" | "prompt" | "unknown";

export type FailureCause = "denied" | "denied-by-system" | "dismissed" | "busy" | "missing" | "insecure" | "unsupported" | "other";

export interface Failure {
  readonly device: DeviceKind | "camera and microphone";
  readonly cause: FailureCause;
  /** What the browser said, where that is all there is. */
  readonly detail: string;
}

/** What a person can do next, where it is one click. */
export type NextAction = "retry" | "https" | "trust" | "rejoin" | "start" | "reload";

export interface Advice {
  readonly title: string;
  readonly next: string;
  readonly actions: readonly NextAction[];
}

/** What is known when a device could not be opened. */
export interface Refusal {
  readonly device: DeviceKind;
  /** The DOMException's name; empty where the browser has no mediaDevices at all. */
  readonly name: string;
  readonly message: string;
  readonly permission: Permission;
  readonly secure: boolean;
}

export function failureOf(refusal: Refusal): Failure {
  return { device: refusal.device, cause: causeOf(refusal), detail: refusal.message };
}

function causeOf({ device, name, message, permission, secure }: Refusal): FailureCause {
  if (!secure) return "insecure";
  switch (name) {
    case "":
    case "TypeError":
      return "unsupported";
    case "NotAllowedError":
    case "SecurityError":
      if (/by system/i.test(message)) return "denied-by-system";
      if (/dismissed/i.test(message)) return "dismissed";
      if (device === "screen") return permission === "denied" ? "denied" : "dismissed";
      return permission === "prompt" ? "dismissed" : "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "other";
  }
}

/** One failure where camera and microphone fail for the same reason, and one step is for both. */
export function mergeFailures(failures: readonly Failure[]): readonly Failure[] {
  const [first, second] = failures;
  if (!first || !second || first.cause !== second.cause) return failures;
  switch (first.cause) {
    case "denied":
    case "denied-by-system":
    case "dismissed":
    case "insecure":
    case "unsupported":
      return [{ ...first, device: "camera and microphone" }];
    case "busy":
    case "missing":
    case "other":
      return failures;
  }
}

export function deviceAdvice({ device, cause, detail }: Failure, isInCall = false): Advice {
  const the = `the ${device}`;
  const orJoin = isInCall || device === "screen" ? "" : " You can join without.";
  switch (cause) {
    case "denied":
      return {
        title: `This page may not use ${the}`,
        next:
          device === "screen"
            ? "Allow screen sharing for this page in the browser's settings, then share again."
            : `Click the symbol left of the address, allow ${the}, then try again.${orJoin}`,
        actions: ["retry"],
      };
    case "denied-by-system":
      return {
        title: `The system keeps ${the} from this browser`,
        next: `Open the system's privacy settings, allow ${device === "screen" ? "screen recording" : the} for this browser, then try again.${orJoin}`,
        actions: ["retry"],
      };
    case "dismissed":
      return device === "screen"
        ? { title: "Nothing was chosen to share", next: "Share again and choose a tab, a window or a screen.", actions: [] }
        : { title: `The question about ${the} was closed`, next: `Ask again, and choose “Allow” this time.${orJoin}`, actions: ["retry"] };
    case "busy":
      return {
        title: `Another program uses ${the}`,
        next: `Close other calls and programs that use ${the}, then try again.${orJoin}`,
        actions: ["retry"],
      };
    case "missing":
      return {
        title: device === "screen" ? "There is no screen to share" : `No ${device} was found`,
        next: device === "screen" ? "Use a browser on a computer to share a screen." : `Plug one in or switch it on, then try again.${orJoin}`,
        actions: device === "screen" ? [] : ["retry"],
      };
    case "insecure":
      return {
        title: "This address is not secure",
        next: `Browsers give ${the} only to pages that came over https. Open the secure address; if it warns about the certificate, trust this server first.`,
        actions: ["https", "trust"],
      };
    case "unsupported":
      return {
        title: `This browser cannot use ${the} here`,
        next: device === "screen" ? "Use a browser on a computer to share a screen." : "Use a current version of Chrome, Edge, Firefox or Safari.",
        actions: [],
      };
    case "other":
      return { title: `The ${device} could not be opened`, next: `Try again, or choose another one. The browser says: ${detail}`, actions: ["retry"] };
  }
}

/** Why a room cannot be entered at all; invitedTo is the room of one's invitation, empty without one. */
export function roomProblem(room: string, invitedTo: string): Advice | undefined {
  if (isTooLong(room)) {
    return {
      title: "The name of this room is too long",
      next: "It may have 128 letters, or fewer where they have accents. Check the link, or start a room with a shorter name.",
      actions: ["start"],
    };
  }
  if (invitedTo !== "" && invitedTo !== room) {
    return {
      title: "Your invitation is for another room",
      next: `It opens “${invitedTo}”, and this is “${room}”. Open the link as it was sent to you, or ask for an invitation to this room.`,
      actions: ["start"],
    };
  }
  return undefined;
}

/** After leaving by oneself. */
export function leftAdvice(room: string, areOthersThere: boolean): Advice {
  const next = areOthersThere ? `The others go on talking in ${room}.` : `Nobody is in ${room} any more. Its link works whenever you want to meet again.`;
  return { title: "You left the call", next, actions: ["rejoin", "start"] };
}

/** Why a call has no connection for now though the server answers, where that is known; the code is an error's of the SDK. */
export function troubleAdvice(code: string, next: string | undefined): Advice | undefined {
  if (code !== "no-media") return undefined;
  return { title: "Sound and pictures do not get through", next: next ?? "Try another network.", actions: [] };
}

/** Why the server lets nobody in by this invitation. */
export function accessAdvice(fault: InvitationFault): Advice {
  switch (fault) {
    case "missing":
      return {
        title: "This room needs an invitation",
        next: "Open the complete link that you were sent, or ask whoever runs the meeting for one.",
        actions: ["start"],
      };
    case "expired":
      return { title: "Your invitation has expired", next: "Ask whoever invited you for a new one.", actions: ["start"] };
    case "foreign":
      return {
        title: "This server does not know your invitation",
        next: "It is for another server, or was not copied whole. Open the complete link that you were sent, or ask for a new one.",
        actions: ["start"],
      };
  }
}

/** Why a call could not begin; code is the server's, or the SDK's own. */
export function joinAdvice(code: string, message: string, next: string | undefined): Advice {
  switch (code) {
    case "connection":
    case "timeout":
      return { title: "The server does not answer", next: "Check that this device is online, then join again. If it is, tell whoever runs the server.", actions: ["rejoin", "start"] };
    case "limit":
      return { title: "This room is full", next: "Join again once somebody has left.", actions: ["rejoin", "start"] };
    default:
      return endAdvice(code, message, next);
  }
}

/** Why a call is over; code is the server's, or the SDK's own. */
export function endAdvice(code: string, message: string, step: string | undefined): Advice {
  const next = step === undefined ? undefined : sentence(step);
  switch (code) {
    case "kicked":
      return { title: "You were removed from the room", next: "Ask whoever runs the meeting if that was not meant.", actions: ["start"] };
    case "replaced":
      return {
        title: "You joined from somewhere else",
        next: "The same identity entered this room in another tab or on another device. Rejoin to bring the call back here.",
        actions: ["rejoin", "start"],
      };
    case "draining":
      return { title: "The server is restarting", next: "Wait a moment, then join again.", actions: ["rejoin", "start"] };
    case "overloaded":
      return { title: "The server is full", next: "Try again in a few minutes, or tell whoever runs it.", actions: ["rejoin", "start"] };
    case "unauthorized":
      return accessAdvice("missing");
    case "forbidden":
      return { title: "Your invitation does not fit this room", next: next ?? "Ask for a link to this room.", actions: ["start"] };
    case "origin-refused":
      return { title: "This address may not be used for calls", next: next ?? "Open the page by the server's own address.", actions: ["start"] };
    case "slow-reader":
    case "timeout":
    case "session-expired":
    case "connection":
      return {
        title: "The connection to the server was lost",
        next: "Check that this device is online, then join again.",
        actions: ["rejoin", "start"],
      };
    case "protocol":
      return { title: "This page is older than the server", next: "Reload it to get the current version.", actions: ["reload"] };
    case "unsupported":
      return { title: "This browser cannot hold calls", next: next ?? "Use a current version of Chrome, Edge, Firefox or Safari.", actions: [] };
    default:
      return { title: "The call could not go on", next: next ?? `Try again. The server says: ${message}`, actions: ["rejoin", "start"] };
  }
}

/** The server's texts are made for logs too, and are no sentences there. */
function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

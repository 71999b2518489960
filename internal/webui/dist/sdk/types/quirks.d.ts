import type { Tuning } from "./layers.js";
/** Offers the header extensions that are of use on this m-line, where the browser lets us choose. */
export declare function chooseHeaderExtensions(t: RTCRtpTransceiver, use: "slot" | "publish"): void;
/**
 * Tells a sender's encoders what to do. Firefox returns no encodings before the first
 * negotiation, and setting parameters that were not read in the same task is refused everywhere.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1401592 (fixed in 110)
 * May go when Firefox ESR 115 is the oldest that counts.
 *
 * A scalabilityMode is set by itself: a browser that refuses it for this codec shall take the rest. Firefox knows none.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1571470
 */
export declare function tuneSender(sender: RTCRtpSender, tunings: readonly Tuning[]): Promise<void>;
/** The scalabilityMode that a sender's encoder has; undefined where the browser knows none. */
export declare function scalabilityOf(sender: RTCRtpSender): string | undefined;
/**
 * Chromium plays no remote sound into WebAudio unless a media element plays the same track.
 * https://issues.chromium.org/issues/40094084
 * Levels of received tracks therefore come from the receiver, and the analyser is for browsers that do not tell them there.
 */
export declare function tellsReceivedLevel(): boolean;

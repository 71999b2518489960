// Differences between browsers, each with where it is told and when it may go.
/**
 * The dependency descriptor tells key frames and layers without looking into the payload, which end-to-end encryption needs.
 * Chromium knows the RTP header extension and does not offer it unless asked.
 * https://www.w3.org/TR/webrtc-extensions/#rtp-header-extension-control
 * Firefox 153 has neither the extension by default nor a way to ask. May go when browsers offer it by themselves.
 */
const dependencyDescriptor = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
function hasExtensionControl(t) {
    return "setHeaderExtensionsToNegotiate" in t && "getHeaderExtensionsToNegotiate" in t;
}
/** Header extensions that Parley understands; the others only make offers longer. */
const extensions = new Map([
    ["urn:ietf:params:rtp-hdrext:sdes:mid", "both"],
    ["http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", "both"],
    ["urn:ietf:params:rtp-hdrext:ssrc-audio-level", "both"],
    ["urn:3gpp:video-orientation", "both"],
    ["http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", "both"],
    ["urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "publish"],
    ["urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", "publish"],
    [dependencyDescriptor, "both"],
]);
/** Offers the header extensions that are of use on this m-line, where the browser lets us choose. */
export function chooseHeaderExtensions(t, use) {
    if (!hasExtensionControl(t))
        return;
    const chosen = t.getHeaderExtensionsToNegotiate();
    for (const extension of chosen) {
        const wanted = extensions.get(extension.uri);
        // The specification lets "mid" never be stopped, and setting it would throw.
        if (extension.uri === "urn:ietf:params:rtp-hdrext:sdes:mid")
            continue;
        extension.direction = wanted === "both" || wanted === use ? "sendrecv" : "stopped";
    }
    try {
        t.setHeaderExtensionsToNegotiate(chosen);
    }
    catch {
        // A browser that refuses the choice offers its own, which costs only length.
    }
}
/**
 * Tells a sender's encoders what to do. Firefox returns no encodings before the first
 * negotiation, and setting parameters that were not read in the same task is refused everywhere.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1401592 (fixed in 110)
 * May go when Firefox ESR 115 is the oldest that counts.
 *
 * A scalabilityMode is set by itself: a browser that refuses it for this codec shall take the rest. Firefox knows none.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1571470
 */
export async function tuneSender(sender, tunings) {
    const grows = await set(sender, tunings, ({ active, maxBitrate }) => ({ active, maxBitrate }), growing);
    if (grows)
        await new Promise((done) => setTimeout(done, heardAfterMs));
    await set(sender, tunings, ({ scaleResolutionDownBy }) => (scaleResolutionDownBy ? { scaleResolutionDownBy } : {}));
    if (tellsScalability(sender))
        await set(sender, tunings, ({ scalabilityMode }) => (scalabilityMode ? { scalabilityMode } : {}));
    await set(sender, tunings, ({ active, maxBitrate }) => ({ active, maxBitrate }));
}
/** Chromium's encoders hear of a new bitrate by and by. */
const heardAfterMs = 60; // what is larger comes after that, and a lower bitrate after what is smaller
const growing = (now, tuning) => (now.maxBitrate ?? Infinity) < tuning.maxBitrate;
/** Sets a part of what is wanted, on those encodings that it is for; reports whether that has changed something. */
async function set(sender, tunings, part, isFor = () => true) {
    const parameters = sender.getParameters();
    let changed = false;
    for (const [i, encoding] of (parameters.encodings ?? []).entries()) {
        const tuning = tunings[i];
        if (!tuning || !isFor(encoding, tuning))
            continue;
        for (const [name, value] of Object.entries(part(tuning))) {
            if (encoding[name] === value)
                continue;
            Object.assign(encoding, { [name]: value });
            changed = true;
        }
    }
    if (changed)
        await sender.setParameters(parameters).catch(() => undefined); // what the browser has set itself stays
    return changed;
}
/** The scalabilityMode that a sender's encoder has; undefined where the browser knows none. */
export function scalabilityOf(sender) {
    const [encoding] = (sender.getParameters().encodings ?? []);
    return encoding?.scalabilityMode;
}
let knowsScalability;
/** Every sender of video is made with a mode, which Chromium returns. */
function tellsScalability(sender) {
    knowsScalability ||= scalabilityOf(sender) !== undefined;
    return knowsScalability;
}
/**
 * Chromium plays no remote sound into WebAudio unless a media element plays the same track.
 * https://issues.chromium.org/issues/40094084
 * Levels of received tracks therefore come from the receiver, and the analyser is for browsers that do not tell them there.
 */
export function tellsReceivedLevel() {
    return typeof RTCRtpReceiver !== "undefined" && "getSynchronizationSources" in RTCRtpReceiver.prototype;
}
//# sourceMappingURL=quirks.js.map
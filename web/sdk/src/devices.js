// Cameras, microphones and screens: the browser's functions, with errors that say the cause and the next step.
import { DeviceError } from "./errors.js";
/** getUserMedia; rejects with a DeviceError. */
export async function openDevices(constraints) {
    try {
        return await mediaDevices().getUserMedia(constraints);
    }
    catch (reason) {
        throw deviceError(reason, constraints.video ? (constraints.audio ? "camera or microphone" : "camera") : "microphone");
    }
}
/** getDisplayMedia; rejects with a DeviceError. */
export async function openScreen(options = { video: true, audio: true }) {
    try {
        return await mediaDevices().getDisplayMedia(options);
    }
    catch (reason) {
        throw deviceError(reason, "screen");
    }
}
/** Devices exist only for pages that came over https or from localhost. */
function mediaDevices() {
    const devices = navigator.mediaDevices;
    if (devices)
        return devices;
    throw new DeviceError("insecure-origin", `The browser gives devices only to secure pages, and ${location.origin} is not one.`, {
        next: "Open the page with https://, or on the server's own machine with http://localhost.",
    });
}
/** What an error of the browser means, for a person. */
export function deviceError(reason, device) {
    if (reason instanceof DeviceError)
        return reason;
    const name = reason instanceof Error ? reason.name : "";
    switch (name) {
        case "NotAllowedError":
        case "SecurityError":
            return new DeviceError("device-denied", `Access to the ${device} was not allowed.`, {
                next: device === "screen"
                    ? "Share again and choose a window or screen; on macOS, allow screen recording for the browser in the system's settings."
                    : "Click the symbol beside the address, allow access, and try again; some systems have a switch of their own, too.",
                cause: reason,
            });
        case "NotFoundError":
        case "OverconstrainedError":
            return new DeviceError("device-missing", `No ${device} was found.`, { next: "Plug one in, or choose another one.", cause: reason });
        case "NotReadableError":
        case "AbortError":
            return new DeviceError("device-busy", `The ${device} could not be started.`, {
                next: "Close other programs that use it, and try again.",
                cause: reason,
            });
        default:
            return new DeviceError("device-failed", `The ${device} could not be opened: ${String(reason)}`, { cause: reason });
    }
}
//# sourceMappingURL=devices.js.map
// Data messages over two data channels, "parley" (reliable, ordered) and "parley-lossy" (unordered, never sent again).
//
//	 byte 0      byte 1     n bytes            rest
//	+-----------+----------+------------------+---------+
//	| bit 0:    | length n | identity, UTF-8: | payload |
//	| text      |          | to, or from      |         |
//	+-----------+----------+------------------+---------+
import { asParleyError, ConnectionError, LimitError, ParleyError } from "./errors.js";
import { limits } from "./wire.gen.js";
const textFlag = 1;
export function encode(payload, to = "") {
    const identity = new TextEncoder().encode(to);
    const body = bytes(payload);
    if (body.length > limits.maxDataBytes) {
        throw new LimitError("too-large", `A data message of ${body.length} bytes is too large.`, {
            next: `Send at most ${limits.maxDataBytes} bytes at a time.`,
        });
    }
    if (identity.length > limits.maxNameBytes) {
        throw new ParleyError("bad-request", "The recipient's identity is too long.");
    }
    const message = new Uint8Array(2 + identity.length + body.length);
    message[0] = typeof payload === "string" ? textFlag : 0;
    message[1] = identity.length;
    message.set(identity, 2);
    message.set(body, 2 + identity.length);
    return message;
}
/** Reads a message; undefined where it is too short for its own header. */
export function decode(message) {
    const all = new Uint8Array(message);
    const flags = all[0];
    const length = all[1];
    if (flags === undefined || length === undefined || all.length < 2 + length)
        return undefined;
    const text = new TextDecoder();
    const payload = all.slice(2 + length);
    return {
        identity: text.decode(all.subarray(2, 2 + length)),
        payload: (flags & textFlag) !== 0 ? text.decode(payload) : payload,
    };
}
/** Pages in JavaScript may give anything. */
function bytes(payload) {
    if (typeof payload === "string")
        return new TextEncoder().encode(payload);
    if (payload instanceof ArrayBuffer)
        return new Uint8Array(payload);
    if (ArrayBuffer.isView(payload))
        return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    const given = payload === null ? "null" : typeof payload;
    throw new TypeError(`send() takes text, an ArrayBuffer or a view of one, and not ${given}. JSON.stringify() makes text of a value.`);
}
/** More than this is not handed to the browser: reliable messages wait, lossy ones are dropped. */
const maxBuffered = 1 << 20;
/** More than this does not wait. */
const maxWaiting = 64 << 20;
/** Pauses before a channel is opened again that the server keeps closing. After a calm time there is none. */
const reopenMs = { first: 1_000, most: 30_000, calm: 60_000 };
/** The data channels of one RTCPeerConnection. */
export class Channels {
    #reliable;
    #lossy;
    constructor(peerConnection, received) {
        this.#reliable = new Line(peerConnection, "parley", { ordered: true }, (m) => received(m, true));
        this.#lossy = new Line(peerConnection, "parley-lossy", { ordered: false, maxRetransmits: 0 }, (m) => received(m, false));
    }
    /** Reliable: resolves when the browser has taken the message, in order. Lossy: at once, sent or dropped. */
    async send(message, reliable) {
        if (reliable)
            await this.#reliable.send(message);
        else
            this.#lossy.offer(message);
    }
    close() {
        this.#reliable.close();
        this.#lossy.close();
    }
}
/**
 * One data channel, and the next one where the server has closed it: it does so where this client reads too slowly. What waits then is
 * rejected, and so is what is sent before there is a new one: something may be missing, and the caller has to know.
 */
class Line {
    #peerConnection;
    #label;
    #options;
    #received;
    /** new: the first channel is not open yet. broken: there is none, or the next one is not open yet. */
    #state = "new";
    #channel;
    #waiting = [];
    #waitingBytes = 0;
    #openedAt = 0;
    #pauseMs = 0;
    #timer;
    constructor(peerConnection, label, options, received) {
        this.#peerConnection = peerConnection;
        this.#label = label;
        this.#options = options;
        this.#received = received;
        this.#channel = this.#open();
    }
    /** Resolves when the browser has taken the message, after those before it. */
    send(message) {
        return new Promise((taken, failed) => {
            const refusal = this.#refusal(message.length);
            if (refusal) {
                failed(refusal);
                return;
            }
            this.#waiting.push({ message, taken, failed });
            this.#waitingBytes += message.length;
            this.#flush();
        });
    }
    /** Sends the message now or not at all. */
    offer(message) {
        if (this.#channel.readyState === "open" && this.#channel.bufferedAmount < maxBuffered)
            this.#channel.send(message);
    }
    close() {
        this.#state = "closed";
        clearTimeout(this.#timer);
        this.#peerConnection.removeEventListener("connectionstatechange", this.#reopen);
        this.#channel.onclose = null;
        this.#channel.close();
        this.#reject(new ConnectionError("The data channel is closed."));
    }
    #refusal(length) {
        switch (this.#state) {
            case "closed":
                return new ConnectionError("The data channel is closed.");
            case "broken":
                return broken();
            case "new":
            case "open":
                if (this.#waitingBytes + length <= maxWaiting)
                    return undefined;
                return new LimitError("limit", "Too many data messages wait to be sent.", { next: "Wait until those before are sent." });
        }
    }
    #open() {
        const channel = this.#peerConnection.createDataChannel(this.#label, this.#options);
        channel.binaryType = "arraybuffer";
        channel.bufferedAmountLowThreshold = maxBuffered / 2;
        channel.onopen = () => {
            this.#state = "open";
            this.#openedAt = performance.now();
            this.#flush();
        };
        channel.onbufferedamountlow = () => this.#flush();
        channel.onmessage = (e) => {
            const message = e.data instanceof ArrayBuffer ? decode(e.data) : undefined;
            if (message)
                this.#received(message);
        };
        channel.onclose = () => this.#lost();
        return channel;
    }
    /** Hands the browser what waits, as long as it has room. */
    #flush() {
        while (this.#channel.readyState === "open" && this.#channel.bufferedAmount <= maxBuffered) {
            const next = this.#waiting.shift();
            if (!next)
                return;
            this.#waitingBytes -= next.message.length;
            try {
                this.#channel.send(next.message);
                next.taken();
            }
            catch (reason) {
                next.failed(asParleyError(reason, "connection"));
            }
        }
    }
    #lost() {
        this.#state = "broken";
        this.#reject(broken());
        if (performance.now() - this.#openedAt > reopenMs.calm)
            this.#pauseMs = 0;
        const pause = this.#pauseMs;
        this.#pauseMs = Math.min(Math.max(reopenMs.first, 2 * pause), reopenMs.most);
        if (pause === 0)
            this.#reopen();
        else
            this.#timer = setTimeout(this.#reopen, pause);
    }
    /** Opens the next channel, as soon as there is a connection for it. */
    #reopen = () => {
        this.#peerConnection.removeEventListener("connectionstatechange", this.#reopen);
        if (this.#peerConnection.connectionState === "connected")
            this.#channel = this.#open();
        else
            this.#peerConnection.addEventListener("connectionstatechange", this.#reopen);
    };
    #reject(reason) {
        const waiting = this.#waiting;
        this.#waiting = [];
        this.#waitingBytes = 0;
        for (const { failed } of waiting)
            failed(reason);
    }
}
function broken() {
    return new ConnectionError("The server has closed the data channel; it is being opened again.", {
        next: "Send what matters again: also messages shortly before may be lost.",
    });
}
//# sourceMappingURL=channels.js.map
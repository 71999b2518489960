// Data messages over two data channels, "parley" (reliable, ordered) and "parley-lossy" (unordered, never sent again).
//
//	 byte 0      byte 1     n bytes            rest
//	+-----------+----------+------------------+---------+
//	| bit 0:    | length n | identity, UTF-8: | payload |
//	| text      |          | to, or from      |         |
//	+-----------+----------+------------------+---------+

import { ConnectionError, LimitError, ParleyError } from "./errors.js";
import { limits } from "./wire.gen.js";

export type Payload = string | ArrayBuffer | ArrayBufferView;

export interface DataMessage {
  /** The other end: recipient when sent (empty: everyone), sender when received. */
  readonly identity: string;
  readonly payload: string | Uint8Array<ArrayBuffer>;
}

const textFlag = 1;

export function encode(payload: Payload, to = ""): Uint8Array<ArrayBuffer> {
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
export function decode(message: ArrayBuffer): DataMessage | undefined {
  const all = new Uint8Array(message);
  const flags = all[0];
  const length = all[1];
  if (flags === undefined || length === undefined || all.length < 2 + length) return undefined;
  const text = new TextDecoder();
  const payload = all.slice(2 + length);
  return {
    identity: text.decode(all.subarray(2, 2 + length)),
    payload: (flags & textFlag) !== 0 ? text.decode(payload) : payload,
  };
}

function bytes(payload: Payload): Uint8Array {
  if (typeof payload === "string") return new TextEncoder().encode(payload);
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
  return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** More than this is not handed to the browser: reliable messages wait, lossy ones are dropped. */
const maxBuffered = 1 << 20;
/** How often a channel that the server has closed is opened again on one RTCPeerConnection. */
const maxReopened = 16;

/** The data channels of one RTCPeerConnection. */
export class Channels {
  readonly #peerConnection: RTCPeerConnection;
  readonly #received: (message: DataMessage, reliable: boolean) => void;
  #reliable: RTCDataChannel;
  #lossy: RTCDataChannel;
  #reopened = 0;
  #closed = false;

  constructor(peerConnection: RTCPeerConnection, received: (message: DataMessage, reliable: boolean) => void) {
    this.#peerConnection = peerConnection;
    this.#received = received;
    this.#reliable = this.#open(true);
    this.#lossy = this.#open(false);
  }

  /** Reliable: resolves when the browser has taken the message, in order. Lossy: at once, sent or dropped. */
  async send(message: Uint8Array<ArrayBuffer>, reliable: boolean): Promise<void> {
    if (!reliable) {
      if (this.#lossy.readyState === "open" && this.#lossy.bufferedAmount < maxBuffered) this.#lossy.send(message);
      return;
    }
    while (this.#reliable.readyState !== "open" || this.#reliable.bufferedAmount > maxBuffered) {
      await this.#room(this.#reliable);
    }
    this.#reliable.send(message);
  }

  close(): void {
    this.#closed = true;
    for (const channel of [this.#reliable, this.#lossy]) {
      channel.onclose = null;
      channel.close();
      channel.dispatchEvent(new Event("close")); // whoever waits for room hears it
    }
  }

  /** Resolves when the channel may have room; rejects when it never will. */
  #room(channel: RTCDataChannel): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new ConnectionError("The data channel is closed."));
        return;
      }
      const again = (): void => {
        for (const type of ["open", "bufferedamountlow", "close"]) channel.removeEventListener(type, again);
        resolve();
      };
      for (const type of ["open", "bufferedamountlow", "close"]) channel.addEventListener(type, again);
    });
  }

  #open(reliable: boolean): RTCDataChannel {
    const channel = reliable
      ? this.#peerConnection.createDataChannel("parley", { ordered: true })
      : this.#peerConnection.createDataChannel("parley-lossy", { ordered: false, maxRetransmits: 0 });
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = maxBuffered / 2;
    channel.onmessage = (e: MessageEvent<unknown>) => {
      const message = e.data instanceof ArrayBuffer ? decode(e.data) : undefined;
      if (message) this.#received(message, reliable);
    };
    // The server closes a channel whose reader is too slow. A new one takes its place while the connection lives.
    channel.onclose = () => {
      if (this.#peerConnection.connectionState !== "connected" || this.#reopened++ >= maxReopened) return;
      if (reliable) this.#reliable = this.#open(true);
      else this.#lossy = this.#open(false);
    };
    return channel;
  }
}

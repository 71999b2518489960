export type Payload = string | ArrayBuffer | ArrayBufferView;
export interface DataMessage {
    /** The other end: recipient when sent (empty: everyone), sender when received. */
    readonly identity: string;
    readonly payload: string | Uint8Array<ArrayBuffer>;
}
export declare function encode(payload: Payload, to?: string): Uint8Array<ArrayBuffer>;
/** Reads a message; undefined where it is too short for its own header. */
export declare function decode(message: ArrayBuffer): DataMessage | undefined;
/** The data channels of one RTCPeerConnection. */
export declare class Channels {
    #private;
    constructor(peerConnection: RTCPeerConnection, received: (message: DataMessage, reliable: boolean) => void);
    /** Reliable: resolves when the browser has taken the message, in order. Lossy: at once, sent or dropped. */
    send(message: Uint8Array<ArrayBuffer>, reliable: boolean): Promise<void>;
    close(): void;
}

import type { LocalParticipant, RemoteParticipant } from "./participant.js";
import { Subscription } from "./subscription.js";
import type { Kind, Layers, Source } from "./wire.gen.js";
/** A track of someone else. */
export declare class RemotePublication {
    #private;
    readonly participant: RemoteParticipant;
    readonly subscription: Subscription;
    get id(): string;
    get kind(): Kind;
    get source(): Source;
    get name(): string;
    get codec(): string;
    get muted(): boolean;
    get encrypted(): boolean;
    /** Of its largest size, where the publisher has told it. */
    get dimensions(): {
        readonly width: number;
        readonly height: number;
    } | undefined;
    /** How it has several sizes; undefined: it has one. */
    get layers(): Layers | undefined;
}
/** What a local publication asks of its room. */
export interface LocalPublicationLink {
    mute(publication: LocalPublication, muted: boolean): Promise<void>;
    replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void>;
    stats(publication: LocalPublication): Promise<RTCStatsReport>;
}
export interface PublishOptions {
    /** For display; at most 128 bytes. */
    readonly name?: string;
    /** Default: microphone or camera by kind; screen for captured displays. */
    readonly source?: Source;
    /** Whether to send several sizes, of which everybody gets the one that suits. Default: cameras, where their picture is large enough. */
    readonly simulcast?: boolean;
    /** For VP9 and AV1, which have their sizes in one stream: "L3T3_KEY", as W3C WebRTC-SVC names them. */
    readonly scalabilityMode?: string;
    /** Of the largest size, in bit/s. Default: by the size of the picture. */
    readonly maxBitrate?: number;
    /** "vp8", "vp9", "h264" or "av1", as long as everybody in the room decodes it. Default: what the room prefers. */
    readonly codec?: string;
}
/** A track of one's own. */
export declare class LocalPublication {
    #private;
    readonly participant: LocalParticipant;
    readonly kind: Kind;
    readonly source: Source;
    readonly name: string;
    /** Unique in the room. It changes when the track has to be published anew, after a lost session or with another codec. */
    get id(): string;
    /** "opus", "vp8", "vp9", "h264" or "av1". */
    get codec(): string;
    get track(): MediaStreamTrack;
    get muted(): boolean;
    /** Sends silence or black at once, then tells the others. */
    mute(): Promise<void>;
    unmute(): Promise<void>;
    /** Sends another track in place of this one, of the same kind: another camera, say. The old one is not stopped. */
    replaceTrack(track: MediaStreamTrack): Promise<void>;
    /** Loudness now, 0 to 1. */
    get audioLevel(): number;
    /** What the browser knows of sending it. */
    stats(): Promise<RTCStatsReport>;
}
export type Publication = LocalPublication | RemotePublication;
/** What a track shows or sounds like, where the caller does not say. */
export declare function sourceOf(track: MediaStreamTrack, stream?: MediaStream): Source;

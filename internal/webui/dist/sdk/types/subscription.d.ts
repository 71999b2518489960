import { TypedEventTarget } from "./events.js";
import type { RemoteParticipant } from "./participant.js";
import type { RemotePublication } from "./publication.js";
import type { Kind, Source, SubscriptionActive, SubscriptionOff, SubscriptionPending, SubscriptionUnsupportedCodec } from "./wire.gen.js";
export type SubscriptionStatus = typeof SubscriptionActive | typeof SubscriptionPending | typeof SubscriptionUnsupportedCodec | typeof SubscriptionOff | "ended";
export interface SubscriptionEvents {
    /** mediaStreamTrack is another one, or gone for now. */
    trackreplaced: {
        readonly subscription: Subscription;
        readonly track: MediaStreamTrack | undefined;
    };
    statuschanged: {
        readonly subscription: Subscription;
        readonly status: SubscriptionStatus;
    };
}
/** What a subscription asks of its room. */
export interface SubscriptionLink {
    want(publication: string, wanted: boolean): Promise<void>;
    playbackBlocked(subscription: Subscription): void;
    changed(subscription: Subscription, what: "track" | "status"): void;
}
export interface SubscriptionStats {
    readonly bytesReceived: number;
    readonly packetsReceived: number;
    readonly packetsLost: number;
    readonly jitterSeconds: number;
    /** Codec as negotiated, "video/VP8". */
    readonly codec: string;
    /** Video only. */
    readonly framesDecoded?: number;
    readonly framesPerSecond?: number;
    readonly frameWidth?: number;
    readonly frameHeight?: number;
    readonly freezeCount?: number;
    /** All that the browser tells. */
    readonly report: RTCStatsReport;
}
export declare class Subscription extends TypedEventTarget<SubscriptionEvents> {
    #private;
    readonly publication: RemotePublication;
    /** Stays the same; holds the track while there is one. */
    readonly stream: MediaStream;
    get participant(): RemoteParticipant;
    get kind(): Kind;
    get source(): Source;
    get status(): SubscriptionStatus;
    /** The track that arrives now; another one after "trackreplaced". */
    get mediaStreamTrack(): MediaStreamTrack | undefined;
    /** Plays the subscription in a media element, now and whenever its track changes. Returns what ends that. */
    attach(element: HTMLMediaElement): () => void;
    detach(element: HTMLMediaElement): void;
    /** Whether to receive it at all. */
    want(wanted: boolean): Promise<void>;
    /** Loudness now, 0 to 1. */
    get audioLevel(): number;
    /** Counters of the track as it arrives now; undefined while nothing does. */
    stats(): Promise<SubscriptionStats | undefined>;
    /** Plays again what the browser refused to play. */
    play(): Promise<void>;
}

import { TypedEventTarget } from "./events.js";
import type { RemoteParticipant } from "./participant.js";
import type { RemotePublication } from "./publication.js";
import { type Tell } from "./use.js";
import { type Kind, type Source, type SubscriptionActive, type SubscriptionOff, type SubscriptionPaused, type SubscriptionPending, type SubscriptionUnsupportedCodec } from "./wire.gen.js";
export type SubscriptionStatus = typeof SubscriptionActive | typeof SubscriptionPaused | typeof SubscriptionPending | typeof SubscriptionUnsupportedCodec | typeof SubscriptionOff | "ended";
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
    use(publication: string, change: Parameters<Tell>[0]): Promise<void>;
    playbackBlocked(subscription: Subscription, element: HTMLMediaElement): void;
    changed(subscription: Subscription, what: "track" | "status"): void;
}
/** How a picture is used. */
export interface Preference {
    /** Of the picture, in pixels of the screen; 0: as large as it gets. */
    readonly width?: number;
    readonly height?: number;
    /** What matters more where the network cannot carry everything: 0 to 255, 100 by default. */
    readonly priority?: number;
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
    /** Why it is paused: "off", because pause() was called or nobody can see it; "bandwidth"; others may come. */
    get pausedReason(): string | undefined;
    /** Whether it is "pending" because others come first: see lastN of join(). Its turn comes when the participant leads, or by priority. */
    get isLeftOut(): boolean;
    /** The track that arrives now; another one after "trackreplaced". */
    get mediaStreamTrack(): MediaStreamTrack | undefined;
    /**
     * Plays the subscription in a media element, now and whenever its track changes. Returns what ends that. The server sends a size
     * of the picture that suits the element, and after a while nothing if it cannot be seen.
     */
    attach(element: HTMLMediaElement): () => void;
    detach(element: HTMLMediaElement): void;
    /** Says how the picture is used, where that does not follow from the elements that it is attached to. */
    prefer({ width, height, priority }: Preference): void;
    /** Receives nothing until resume(). The slot is kept, so that it goes on soon. */
    pause(): void;
    resume(): void;
    /** Whether to receive it at all. */
    want(wanted: boolean): Promise<void>;
    /** Loudness now, 0 to 1. */
    get audioLevel(): number;
    /** Counters of the track as it arrives now; undefined while nothing does. */
    stats(): Promise<SubscriptionStats | undefined>;
    /** Plays again what the browser refused to play. */
    play(): Promise<void>;
}

import type { Payload } from "./channels.js";
import type { ParleyError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import type { LocalParticipant, Participant, RemoteParticipant } from "./participant.js";
import type { MediaPath } from "./media-path.js";
import type { LocalPublication, Publication, PublishOptions } from "./publication.js";
import type { SharedState } from "./shared/state.js";
import type { Subscription } from "./subscription.js";
import type { ChatMessage, Code, Grants, Log } from "./wire.gen.js";
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "disconnected";
export interface RoomEvents {
    participantjoined: {
        readonly participant: RemoteParticipant;
    };
    participantleft: {
        readonly participant: RemoteParticipant;
        readonly reason: Code;
    };
    /** Name or metadata changed. */
    participantupdated: {
        readonly participant: Participant;
    };
    /** localParticipant.grants changed, or what of mayPublish: an admin has ruled so. What may not be published any more is withdrawn. */
    grantschanged: {
        readonly grants: Grants;
    };
    trackpublished: {
        readonly participant: Participant;
        readonly publication: Publication;
    };
    trackunpublished: {
        readonly participant: Participant;
        readonly publication: Publication;
    };
    mutechanged: {
        readonly participant: Participant;
        readonly publication: Publication;
        readonly muted: boolean;
    };
    /** A subscription has its first track. */
    track: {
        readonly subscription: Subscription;
    };
    trackended: {
        readonly subscription: Subscription;
    };
    /** subscription.mediaStreamTrack is another one. */
    trackreplaced: {
        readonly subscription: Subscription;
    };
    subscriptionstatus: {
        readonly subscription: Subscription;
    };
    message: {
        readonly message: ChatMessage;
    };
    data: {
        readonly from: string;
        readonly participant: RemoteParticipant | undefined;
        readonly data: string | Uint8Array<ArrayBuffer>;
        readonly reliable: boolean;
    };
    speaking: {
        readonly participant: Participant;
        readonly speaking: boolean;
    };
    /** room.speakers or room.dominantSpeaker changed. */
    speakerschanged: {
        readonly speakers: readonly Participant[];
        readonly dominant: Participant | undefined;
    };
    /**
     * The browser plays nothing before the user has done something. It is tried again by itself when the page publishes what it captures,
     * and at the next click, tap or key: tell the user.
     */
    playbackblocked: {
        readonly subscription: Subscription;
    };
    /** All that was blocked plays. */
    playbackallowed: Record<never, never>;
    /** Reason: why it ended, or is lost. The same state comes again with the code "no-media" when media have not come for 10 s. */
    connectionstate: {
        readonly state: ConnectionState;
        readonly reason: ParleyError | undefined;
    };
    /** The server restarts within so many seconds. The room comes back by itself: "connectionstate" tells. */
    draining: {
        readonly seconds: number;
    };
    /** room.mediaPath changed. */
    mediapath: {
        readonly path: MediaPath | undefined;
    };
    /** room.peerConnection is another one. */
    peerconnection: {
        readonly peerConnection: RTCPeerConnection;
    };
}
export interface SendOptions {
    /** Identity of the one recipient; default: everyone. */
    readonly to?: string;
    /** Default true: arrives, in order. False: arrives soon or not at all. */
    readonly reliable?: boolean;
}
export declare class Room extends TypedEventTarget<RoomEvents> {
    #private;
    readonly name: string;
    readonly localParticipant: LocalParticipant;
    /** The others, by identity. */
    readonly participants: ReadonlyMap<string, RemoteParticipant>;
    get connectionState(): ConnectionState;
    /** Chat, oldest first. */
    get messages(): readonly ChatMessage[];
    /** Whether there may be messages from before those in room.messages. */
    get hasOlderMessages(): boolean;
    /**
     * Reads messages from before those in room.messages, to which they are added: 200 are there to begin with, and 5,000 at most. Resolves with
     * hasOlderMessages. Rejects with "unsupported" where the server keeps no log of the room.
     */
    olderMessages(): Promise<boolean>;
    /**
     * Reads what has happened in the room, oldest first: who joined and left, publications, chat to everyone, changes of durable records. Entries come
     * after that cursor, 0: from the oldest that is kept, and at most limit of them, absent: as many as the server gives at once. What follows is asked
     * for with after of the answer, until that is last. Rejects with "unsupported" where the server keeps no log of the room.
     */
    readLog(after?: number, limit?: number): Promise<Log>;
    /** State that the room's participants share: records, lists, events, RPC, presence. It ends with the room, but for durable records. */
    get state(): SharedState;
    /** The same, shared by all rooms of the server. */
    get serverState(): SharedState;
    /** How media travel now; undefined while they do not. */
    get mediaPath(): MediaPath | undefined;
    /** For what this SDK does not offer. It is replaced when it fails ("peerconnection"); offers are made by the SDK only. */
    get peerConnection(): RTCPeerConnection;
    /** Who speaks now: the dominant speaker first, then the others by when they began. */
    get speakers(): readonly Participant[];
    /** Who leads the conversation, also while everybody pauses; oneself, perhaps. */
    get dominantSpeaker(): Participant | undefined;
    /** Publishes a track, or each track of a stream. The tracks stay the caller's: unpublish does not stop them. */
    publish(track: MediaStreamTrack, options?: PublishOptions): Promise<LocalPublication>;
    publish(stream: MediaStream, options?: PublishOptions): Promise<LocalPublication[]>;
    /** Withdraws a publication. Its m-line is used again by the next one. */
    unpublish(publication: LocalPublication): Promise<void>;
    /**
     * Sends data over the data channels; see SendOptions. Resolves when the browser has taken it: with reliable data, who awaits that keeps to
     * the pace of the slowest receiver, and who does not may fill 64 MiB. Rejects with "connection" while there is no channel: what was
     * sent shortly before may be lost then. With a TypeError, where data is neither text nor bytes.
     */
    send(data: Payload, options?: SendOptions): Promise<void>;
    /** Says something to everyone, or to one identity. It comes back as a "message" event. */
    sendMessage(text: string, options?: {
        readonly to?: string;
    }): Promise<void>;
    /** Ends another participant's session. */
    kick(identity: string, reason?: string): Promise<void>;
    /** Changes one's own name or metadata. */
    update(change: {
        readonly name?: string;
        readonly metadata?: string;
    }): Promise<void>;
    /** Plays again what the browser refused to play; call it from a user's click. */
    play(): Promise<void>;
    leave(): void;
}

import { type DataMessage, type Payload } from "./channels.js";
import { type ParleyError } from "./errors.js";
import { type MediaOwner } from "./media.js";
import type { MediaPath } from "./media-path.js";
import { LocalParticipant, RemoteParticipant } from "./participant.js";
import { LocalPublication, type LocalPublicationLink, type PublishOptions } from "./publication.js";
import type { ConnectionState, Room, SendOptions } from "./room.js";
import type { Session, SessionObserver, SessionState } from "./session.js";
import type { RoomCache } from "./shared/cache.js";
import { SharedState } from "./shared/state.js";
import { Speakers } from "./speakers.js";
import type { Subscription, SubscriptionLink } from "./subscription.js";
import type { Path } from "./transport-machine.js";
import { type ChatMessage, type Codecs, type EventMessage, type Joined } from "./wire.gen.js";
export declare class Call implements SessionObserver, MediaOwner, LocalPublicationLink, SubscriptionLink {
    #private;
    readonly localParticipant: LocalParticipant;
    readonly participants: Map<string, RemoteParticipant>;
    readonly speakers: Speakers;
    readonly shared: {
        readonly room: SharedState;
        readonly server: SharedState;
    };
    constructor(room: Room, session: Session, joined: Joined, cache: Promise<RoomCache | undefined>);
    get connectionState(): ConnectionState;
    get messages(): readonly ChatMessage[];
    /** Whether there may be still older ones. */
    olderMessages(): Promise<boolean>;
    get mediaPath(): MediaPath | undefined;
    get peerConnection(): RTCPeerConnection;
    publish(track: MediaStreamTrack, options: PublishOptions, stream?: MediaStream): Promise<LocalPublication>;
    unpublish(publication: LocalPublication): Promise<void>;
    send(data: Payload, { to, reliable }: SendOptions): Promise<void>;
    sendMessage(text: string, to: string | undefined): Promise<void>;
    kick(identity: string, reason: string | undefined): Promise<void>;
    update(change: {
        readonly name?: string;
        readonly metadata?: string;
    }): Promise<void>;
    play(): Promise<void>;
    leave(): void;
    event(message: EventMessage): void;
    /** The participant has joined anew: nothing of the old session is left on the server. */
    rejoined(joined: Joined): void;
    stateChanged(state: SessionState): void;
    get configuration(): RTCConfiguration;
    get codecs(): Codecs;
    offer(...[body]: Parameters<MediaOwner["offer"]>): ReturnType<MediaOwner["offer"]>;
    connectionReplaced(): void;
    named(publication: LocalPublication, id: string): void;
    published(): void;
    notPublished(publication: LocalPublication, error: ParleyError): void;
    received({ identity, payload }: DataMessage, reliable: boolean): void;
    pathChanged(path: Path, reason: ParleyError | undefined): void;
    peerConnectionChanged(): void;
    get mayPublish(): boolean;
    mute(publication: LocalPublication, muted: boolean): Promise<void>;
    replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void>;
    stats(publication: LocalPublication): Promise<RTCStatsReport>;
    want(publication: string, wanted: boolean): Promise<void>;
    use(publication: string, change: Parameters<SubscriptionLink["use"]>[1]): Promise<void>;
    playbackBlocked(subscription: Subscription, element: HTMLMediaElement): void;
    changed(subscription: Subscription, what: "track" | "status"): void;
}

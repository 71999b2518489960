/** Numbers that a client can rely on. */
export declare const limits: {
    /** Protocol is the version that this package describes. A server refuses any other with CodeProtocol. */
    readonly protocol: 1;
    /** before the session is authenticated */
    readonly maxMessageBytesBeforeJoin: 16384;
    /** afterwards */
    readonly maxMessageBytes: 524288;
    readonly maxSDPBytes: 393216;
    /** text of one chat message, UTF-8 */
    readonly maxChatBytes: 4096;
    /** messages that a late joiner is given */
    readonly maxChatKept: 200;
    /** metadata of one participant */
    readonly maxMetadataBytes: 16384;
    /** room, identity, display name, publication name */
    readonly maxNameBytes: 128;
    /** of one participant */
    readonly maxPublications: 16;
    /** simulcast encodings of one publication */
    readonly maxEncodings: 3;
    /** of one participant */
    readonly maxSlotPairs: 24;
    /** payload of one data message */
    readonly maxDataBytes: 65536;
    /** how long a session outlives its socket */
    readonly resumeSeconds: 30;
    /** how many messages are replayed before a snapshot replaces them */
    readonly resumeMessages: 1000;
};
/** it fills a slot */
export declare const SubscriptionActive = "active";
/** it waits for a free slot */
export declare const SubscriptionPending = "pending";
/** the client's offer has no codec that fits */
export declare const SubscriptionUnsupportedCodec = "unsupported-codec";
/** it fills a slot, and nothing is sent for now: see Reason */
export declare const SubscriptionPaused = "paused";
/** the client does not want it, or may not have it */
export declare const SubscriptionOff = "off";
/** the client has asked for it */
export declare const PausedOff = "off";
/** the client's network has no room for it */
export declare const PausedBandwidth = "bandwidth";
/** others come before it: they have priority, or spoke later */
export declare const PendingLastN = "last-n";
/** Code names what went wrong, or why something ended. Codes never change their meaning. */
export type Code = "bad-request" | "protocol" | "too-large" | "limit" | "rate" | "unauthorized" | "forbidden" | "not-found" | "sdp" | "unsupported" | "unsupported-codec" | "overloaded" | "draining" | "session-expired" | "slow-reader" | "replaced" | "kicked" | "left" | "timeout" | "internal";
/** Source says what a track shows or sounds like. */
export type Source = "microphone" | "camera" | "screen" | "screen-audio" | "other";
/** Kind is audio or video. */
export type Kind = "audio" | "video";
/** Layers is how a publication has several sizes. */
export type Layers = "simulcast" | "svc";
/** Error is the body of an error reply, and the error that Go code passes on its way there. */
export interface Error {
    code: Code;
    /** message says what was attempted and what is wrong with it, for a developer. */
    message: string;
    /** next says what to do about it. */
    next?: string;
    /** retrySeconds: when it may go better; absent: no sooner than something changes. */
    retrySeconds?: number;
}
/** Snapshot is everything that a participant may know of a room. */
export interface Snapshot {
    name: string;
    /** revision grows by one with every change of the room. */
    revision: number;
    /** the receiver too, hidden ones not; by time of joining */
    participants: Participant[];
    /** the last MaxChatKept, oldest first */
    chat: ChatMessage[];
    codecs: Codecs;
    speakers: Speakers;
}
/** Participant is an identity in a room. */
export interface Participant {
    identity: string;
    name?: string;
    metadata?: string;
    joinedAt: string;
    publications: Publication[];
}
/** Publication is a track that a participant offers to the room. */
export interface Publication {
    /** unique in the room, never used again */
    id: string;
    kind: Kind;
    source: Source;
    name?: string;
    /** "opus", "vp8", "vp9", "h264", "av1" */
    codec: string;
    muted?: boolean;
    encrypted?: boolean;
    /** width and Height of its largest layer, where the publisher has told them. */
    width?: number;
    height?: number;
    /** layers: "simulcast" or "svc" where there are several sizes to choose from. */
    layers?: Layers;
}
/** ParticipantJoined: someone came. */
export interface ParticipantJoined {
    participant: Participant;
}
/** ParticipantLeft: someone went. */
export interface ParticipantLeft {
    identity: string;
    /** left, replaced, kicked, timeout, … */
    reason: Code;
}
/** ParticipantUpdated: name or metadata changed; both are given. */
export interface ParticipantUpdated {
    identity: string;
    name: string;
    metadata: string;
}
/** TrackPublished: a participant offers a track. */
export interface TrackPublished {
    identity: string;
    publication: Publication;
}
/** TrackUnpublished: a track is gone. */
export interface TrackUnpublished {
    identity: string;
    publication: string;
}
/** TrackMuted: a track was muted or unmuted by its publisher. */
export interface TrackMuted {
    identity: string;
    publication: string;
    muted: boolean;
}
/** ChatMessage is a chat message as everyone sees it. */
export interface ChatMessage {
    /** grows in the room */
    id: number;
    from: string;
    /** display name at the time */
    name?: string;
    text: string;
    at: string;
    /** present: only for this identity and its sender */
    to?: string;
}
/**
 * Slot fills the receiving m-line Mid with a publication, or empties it. The server has stopped the old track; it
 * forwards the new one once the client answers with slot-ready, or after 250 ms. The client blanks the slot in
 * between, so that a name never sits on the wrong face.
 */
export interface Slot {
    mid: string;
    /** generation grows with every change of this slot; an older one is ignored. */
    generation: number;
    /** absent: the slot is empty */
    identity?: string;
    /** absent: the slot is empty */
    publication?: string;
}
/** Subscription tells the state of the receiver's subscription to a publication. */
export interface Subscription {
    publication: string;
    status: string;
    /** reason of the status, where there is more to say. */
    reason?: string;
}
/** GrowSlots asks the client to offer more slots: at least so many pairs and so many video-only slots in all. */
export interface GrowSlots {
    pairs: number;
    videos: number;
}
/**
 * Codecs are those that everyone in the room can decode, the best first. Publishers use the first that they can
 * encode.
 */
export interface Codecs {
    audio: string[];
    video: string[];
}
/** Speakers tells who speaks. It is told at most every 300 ms. */
export interface Speakers {
    /**
     * dominant leads the conversation, also while everybody pauses; absent: nobody has spoken for long enough, or has
     * left since.
     */
    dominant?: string;
    /** speaking now, in the order in which they began. */
    speaking: string[];
}
/** Encodings tells a publisher what of its publication somebody wants at present: it stops sending the rest. */
export interface Encodings {
    publication: string;
    /**
     * active are the rids that are wanted, lowest first. Where the publication is not simulcast, there is one entry,
     * which is empty, or none.
     */
    active: string[];
    /** spatial is the number of spatial layers that are wanted of a publication with a scalabilityMode. */
    spatial?: number;
}
/** Transport tells what the server sees of the client's media path. */
export interface Transport {
    /** "connected", "disconnected" (consent is late), "failed" (offer again with an ICE restart) */
    state: string;
}
/**
 * Draining tells that the server is going down. The session goes on for so long, then it ends with the code
 * draining.
 */
export interface Draining {
    /** at most */
    seconds: number;
}
/** Resync replaces everything that the client knows of the room, its slots and subscriptions. */
export interface Resync {
    room: Snapshot;
    slots: Slot[];
    subscriptions: Subscription[];
    /** of the receiver's publications of video */
    encodings: Encodings[];
}
/** Ended is the last message of a session. */
export interface Ended {
    code: Code;
    message: string;
    /** rejoin: joining again can succeed. */
    rejoin: boolean;
}
/** Join enters a room. It is the first request of a session, or the second try after a refused one. */
export interface Join {
    /** protocol is the version that the client speaks. */
    protocol: number;
    room: string;
    /** token is a JWT; required in token mode, where it also decides room, identity and name. */
    token?: string;
    /**
     * identity is unique in the room; in open mode one is made where it is absent. The same identity again ends the
     * older session with code "replaced".
     */
    identity?: string;
    name?: string;
    metadata?: string;
    /** manualSubscribe: nothing is subscribed until the client asks. Default: everything that fits its slots. */
    manualSubscribe?: boolean;
    /**
     * lastN is how many cameras the client wants to see at once: those with priority, then those who spoke last.
     * Absent or 0: as many as it has slots for.
     */
    lastN?: number;
}
/** Joined answers Join. */
export interface Joined {
    session: string;
    /**
     * resumeToken lets this session go on over a new socket, within ResumeSeconds of losing the old one. It is a
     * secret.
     */
    resumeToken: string;
    resumeSeconds: number;
    identity: string;
    grants: Grants;
    room: Snapshot;
    iceServers: ICEServer[];
    /**
     * pingSeconds is how often a client sends ping; a session that stays silent for three times as long has lost its
     * socket.
     */
    pingSeconds: number;
}
/** Grants are what the participant may do. */
export interface Grants {
    publish: boolean;
    subscribe: boolean;
    publishData: boolean;
    admin: boolean;
    hidden: boolean;
}
/** ICEServer is an entry of RTCConfiguration.iceServers. */
export interface ICEServer {
    urls: string[];
    username?: string;
    credential?: string;
}
/**
 * Resume continues a session over a new socket. It replaces Join as the first request. Messages after Seq follow
 * the reply, with their old numbers; where more than ResumeMessages were missed, one resync event takes their
 * place.
 */
export interface Resume {
    protocol: number;
    session: string;
    token: string;
    /** seq is the last message that the client saw. */
    seq: number;
}
/** Resumed answers Resume. It carries no Seq of its own (0): it is not part of what a resume replays. */
export interface Resumed {
    session: string;
    /** revision of the room now. */
    revision: number;
    /** replayed is the number of messages that follow. */
    replayed: number;
}
/** Leave ends the session at once. */
export type Leave = Record<string, never>;
/**
 * Offer starts or changes the one PeerConnection. Only the client offers. An offer with a new ICE user fragment
 * restarts ICE.
 */
export interface Offer {
    sdp: string;
    /**
     * tracks names every sending m-line that shall be published. An m-line published before keeps its publication; one
     * that is no longer named, or no longer sends, is unpublished.
     */
    tracks?: OfferTrack[];
    /** slots names every receiving m-line that the server may fill, in order. Slots are only ever added. */
    slots?: OfferSlot[];
}
/** OfferTrack is a sending m-line and what it carries. */
export interface OfferTrack {
    mid: string;
    source: Source;
    name?: string;
    muted?: boolean;
    /** encrypted end to end: the server never looks into the payload. */
    encrypted?: boolean;
    /** width and Height of the picture as it is captured, as far as the client knows. */
    width?: number;
    height?: number;
    /** encodings of simulcast, lowest first, at most MaxEncodings. They are the m-line's a=simulcast. */
    encodings?: OfferEncoding[];
    /** ScalabilityMode, as in W3C WebRTC-SVC ("L3T3_KEY"), where the m-line sends more than one layer in one stream. */
    scalabilityMode?: string;
}
/** OfferEncoding is one simulcast encoding of a track. */
export interface OfferEncoding {
    rid: string;
    /** width and Height of its picture, as far as the client knows. */
    width?: number;
    height?: number;
    /** maxBitrate in bit/s. */
    maxBitrate?: number;
}
/** OfferSlot is a pair of receiving m-lines, or a video-only slot (Audio absent), which screen shares use. */
export interface OfferSlot {
    audio?: string;
    video?: string;
}
/** Answer answers Offer. */
export interface Answer {
    sdp: string;
    /** publications has one entry for each of the offer's tracks. */
    publications: AnswerTrack[];
}
/** AnswerTrack tells which publication an m-line feeds. */
export interface AnswerTrack {
    mid: string;
    publication: string;
}
/** Unpublish withdraws a publication; its m-line can be used again by a later offer. */
export interface Unpublish {
    publication: string;
}
/**
 * Subscribe wants, or no longer wants, publications of others, and says how they are used. Where a member is
 * absent, what was said before stays.
 */
export interface Subscribe {
    publications: string[];
    subscribed: boolean;
    /**
     * width and Height of where the picture is shown, in pixels of the screen. 0 is as large as it gets, which is also
     * the default.
     */
    width?: number;
    height?: number;
    /**
     * priority among the client's subscriptions where not all of them fit its slots or its network: 0 to 255, more is
     * more important. Default: 100.
     */
    priority?: number;
    /** paused: nothing is sent for now, and the slot is kept. Default: false. */
    paused?: boolean;
}
/** SlotReady acknowledges a slot event: the client has blanked the slot and the new track may flow. */
export interface SlotReady {
    mid: string;
    generation: number;
}
/** Mute tells others that a publication carries silence or black for now. */
export interface Mute {
    publication: string;
    muted: boolean;
}
/** Update changes the sender's own name or metadata; an absent field stays. */
export interface Update {
    name?: string;
    metadata?: string;
}
/** Chat sends text to everyone, who gets it as a chat event (the sender too), or to one participant. */
export interface Chat {
    text: string;
    /** to is an identity. Such a message is not kept for late joiners. */
    to?: string;
}
/** Kick ends another participant's session with code "kicked". It needs the admin grant. */
export interface Kick {
    identity: string;
    reason?: string;
}
/** Ping keeps a session alive where the carrier has no ping of its own that a client can send. */
export type Ping = Record<string, never>;
/** OK is the body of replies that carry nothing. */
export type OK = Record<string, never>;
/** Every request by its type: its body, and the type and body of its reply. */
export interface Requests {
    join: {
        body: Join;
        reply: "joined";
        replyBody: Joined;
    };
    resume: {
        body: Resume;
        reply: "resumed";
        replyBody: Resumed;
    };
    leave: {
        body: Leave;
        reply: "ok";
        replyBody: OK;
    };
    offer: {
        body: Offer;
        reply: "answer";
        replyBody: Answer;
    };
    unpublish: {
        body: Unpublish;
        reply: "ok";
        replyBody: OK;
    };
    subscribe: {
        body: Subscribe;
        reply: "ok";
        replyBody: OK;
    };
    "slot-ready": {
        body: SlotReady;
        reply: "ok";
        replyBody: OK;
    };
    mute: {
        body: Mute;
        reply: "ok";
        replyBody: OK;
    };
    update: {
        body: Update;
        reply: "ok";
        replyBody: OK;
    };
    chat: {
        body: Chat;
        reply: "ok";
        replyBody: OK;
    };
    kick: {
        body: Kick;
        reply: "ok";
        replyBody: OK;
    };
    ping: {
        body: Ping;
        reply: "ok";
        replyBody: OK;
    };
}
/** Every reply by its type. */
export interface Replies {
    joined: Joined;
    resumed: Resumed;
    ok: OK;
    answer: Answer;
    error: Error;
}
/** Every event by its type. */
export interface Events {
    "participant-joined": ParticipantJoined;
    "participant-left": ParticipantLeft;
    "participant-updated": ParticipantUpdated;
    "track-published": TrackPublished;
    "track-unpublished": TrackUnpublished;
    "track-muted": TrackMuted;
    chat: ChatMessage;
    slot: Slot;
    subscription: Subscription;
    "grow-slots": GrowSlots;
    codecs: Codecs;
    speakers: Speakers;
    encodings: Encodings;
    transport: Transport;
    draining: Draining;
    resync: Resync;
    ended: Ended;
}
/**
 * Request is what a client sends. ID is chosen by the client, unique in its session and never 0: the server
 * answers each with one Message whose Reply is that ID, and answers a repeated ID again instead of acting again.
 */
export type RequestMessage = {
    [T in keyof Requests]: {
        id: number;
        type: T;
        body: Requests[T]["body"];
    };
}[keyof Requests];
/** Message is what a client receives: the reply to a request (Reply set), or an event. */
export type ReplyMessage = {
    [T in keyof Replies]: {
        /**
         * seq numbers everything that a session is sent, from 1, without gaps. A resuming client names the last one it
         * saw.
         */
        seq: number;
        /** reply is the ID of the request that is answered; absent in events. */
        reply: number;
        /** rev is the room's revision after the change that an event tells; absent where the room did not change. */
        rev?: number;
        type: T;
        body: Replies[T];
    };
}[keyof Replies];
/** Message is what a client receives: the reply to a request (Reply set), or an event. */
export type EventMessage = {
    [T in keyof Events]: {
        /**
         * seq numbers everything that a session is sent, from 1, without gaps. A resuming client names the last one it
         * saw.
         */
        seq: number;
        /** reply is the ID of the request that is answered; absent in events. */
        reply?: undefined;
        /** rev is the room's revision after the change that an event tells; absent where the room did not change. */
        rev?: number;
        type: T;
        body: Events[T];
    };
}[keyof Events];

/** Numbers that a client can rely on. */
export declare const limits: {
    /** name of a record, event or RPC, and a pattern */
    readonly maxStateNameBytes: 256;
    /** a record's document in JSON */
    readonly maxRecordBytes: 262144;
    /** nesting of a document */
    readonly maxRecordDepth: 24;
    /** in one document, and in one write: objects, arrays and what is in them */
    readonly maxRecordValues: 65536;
    /** a path within a record */
    readonly maxPathBytes: 1024;
    /** keys and places in a path */
    readonly maxPathSteps: 24;
    /** of one write */
    readonly maxWriteOperations: 256;
    /** of each object and array in a document */
    readonly maxElements: 16384;
    /** places that a write may leave empty before the one that it sets */
    readonly maxArrayGap: 1024;
    /** in one request */
    readonly maxBulkNames: 256;
    /** of values in one reply */
    readonly maxBulkBytes: 393216;
    /** identities in one reply, where all were asked for */
    readonly maxPresent: 1024;
    /** after which a record can be told to go */
    readonly maxTTLSeconds: 31536000;
    /** earlier versions of a record that can be read */
    readonly maxHistory: 32;
    /** an event's value */
    readonly maxEventBytes: 65536;
    /** a request's or an answer's value */
    readonly maxRPCBytes: 65536;
    /** of one session: records, paths, events and identities */
    readonly maxStateSubscriptions: 2048;
    /** RPCs that one session provides */
    readonly maxProvided: 256;
    /** patterns of one session */
    readonly maxListens: 64;
    /** names that one session provides so */
    readonly maxListened: 8192;
    /** RPC requests of one session that have no result yet */
    readonly maxOpenCalls: 256;
    /** of values of these */
    readonly maxOpenCallBytes: 1048576;
    /** writes of one session that have no reply yet */
    readonly maxWritesUnderway: 256;
    /** of one session, after a burst */
    readonly stateRequestsPerSecond: 200;
    /** of state requests */
    readonly maxStateBurst: 500;
    /** in one reply */
    readonly maxLogEntries: 256;
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
export type Code = "bad-request" | "protocol" | "too-large" | "limit" | "rate" | "unauthorized" | "forbidden" | "not-found" | "sdp" | "unsupported" | "unsupported-codec" | "overloaded" | "draining" | "conflict" | "no-provider" | "rpc-failed" | "session-expired" | "slow-reader" | "replaced" | "kicked" | "left" | "timeout" | "internal";
/** Source says what a track shows or sounds like. */
export type Source = "microphone" | "camera" | "screen" | "screen-audio" | "other";
/** Kind is audio or video. */
export type Kind = "audio" | "video";
/** Layers is how a publication has several sizes. */
export type Layers = "simulcast" | "svc";
/** Scope says whose state is meant. */
export type Scope = "room" | "server";
/** OperationKind says what an operation does. */
export type OperationKind = "set" | "erase" | "insert" | "remove" | "move" | "entries";
/** ListenKind is what a pattern is about. */
export type ListenKind = "record" | "event";
/** SubscriptionKind is what was subscribed to. */
export type SubscriptionKind = "record" | "event" | "presence" | "rpc" | "listen-record" | "listen-event";
/** Error is the body of an error reply, and the error that Go code passes on its way there. */
export interface Error {
    code: Code;
    /** message says what was attempted and what is wrong with it, for a developer. */
    message: string;
    /** next says what to do about it. */
    next?: string;
    /** retrySeconds: when it may go better; absent: no sooner than something changes. */
    retrySeconds?: number;
    /** current is the record as it is, where a write or deletion was refused with the code conflict and may be read. */
    current?: RecordState;
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
 * GrantsChanged tells a participant what it may do from now on. What it may not do any more has ended, or is about
 * to.
 */
export interface GrantsChanged {
    grants: Grants;
    /** sources that it may publish; absent: all, with the publish grant. */
    sources?: Source[];
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
    grants: Grants;
    /** as in GrantsChanged */
    sources?: Source[];
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
    /** as in GrantsChanged */
    sources?: Source[];
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
/** Operation is a part of a write. In what the server tells, insert, remove and move have the exact places. */
export interface Operation {
    op: OperationKind;
    /** path in the document; absent: its root. */
    path?: string;
    value?: unknown;
    at?: number;
    to?: number;
    /** base is the version that entries was made from; absent: the present one. */
    base?: number;
}
/** RecordName names a record, or a part of it. */
export interface RecordName {
    name: string;
    /** path to the part that is meant; absent: the whole. */
    path?: string;
}
/** RecordSubscribe subscribes to records, whether they exist or not, and reads them. */
export interface RecordSubscribe {
    scope?: Scope;
    records: RecordHave[];
}
/** RecordHave names what to subscribe to, and what the client has of it. */
export interface RecordHave {
    name: string;
    path?: string;
    /** incarnation and Version that the client has; where they are the present ones, the reply leaves the value out. */
    incarnation?: number;
    version?: number;
}
/** RecordUnsubscribe ends subscriptions. */
export interface RecordUnsubscribe {
    scope?: Scope;
    records: RecordName[];
}
/** RecordRead reads records once. */
export interface RecordRead {
    scope?: Scope;
    records: RecordWanted[];
}
/** RecordWanted names what to read of a record. */
export interface RecordWanted {
    name: string;
    path?: string;
    /** version of the present incarnation to read from the history; absent: the present one. */
    version?: number;
    /** head: only incarnation and version. */
    head?: boolean;
}
/** Records answers item by item, in the order of the request. */
export interface Records {
    results: RecordResult[];
}
/** RecordResult is a record, or why there is none. */
export interface RecordResult {
    record?: RecordState;
    error?: Error;
}
/** RecordState is a record, or a part of it, as it is at a version. */
export interface RecordState {
    name: string;
    path?: string;
    /** incarnation grows with each creation of a record in the scope. Clients keep it from applications. */
    incarnation: number;
    /** 0: there is no such record */
    version: number;
    /** value is absent where there is none, where only the head was asked for, and with Same. */
    value?: unknown;
    /** same: it is what the client has. */
    same?: boolean;
    /** provided: a pattern's provider is active for this name. */
    provided?: boolean;
    /** expires is when it goes, unless it is written before. */
    expires?: string;
}
/** RecordWrite writes a record, all of it or nothing. What is not there is created. */
export interface RecordWrite {
    scope?: Scope;
    name: string;
    operations: Operation[];
    /** version that the record must have; 0: it must not exist; absent: any. */
    version?: number;
    /** incarnation that the record must have; absent: any, and with 0 as version: none. */
    incarnation?: number;
    /** ttlSeconds after its last write the record goes; 0: never; absent: as it was said before. */
    ttlSeconds?: number;
    /** durable: stored, if this write creates the record; absent: as is usual in the scope. */
    durable?: boolean;
    /** history is how many earlier versions can be read; absent: as it was said before, 8 at first. */
    history?: number;
    /** initial is what holds where this write creates the record, and it says nothing of that itself. */
    initial?: RecordSettings;
}
/** RecordSettings are as in a RecordWrite. */
export interface RecordSettings {
    ttlSeconds?: number;
    history?: number;
}
/** Written answers RecordWrite. */
export interface Written {
    incarnation: number;
    version: number;
}
/** RecordDelete deletes a record. */
export interface RecordDelete {
    scope?: Scope;
    name: string;
    /** version and Incarnation that the record must have; absent: any. */
    version?: number;
    incarnation?: number;
}
/** EventNames are events to subscribe to. */
export interface EventNames {
    scope?: Scope;
    names: string[];
}
/** Subscribed answers item by item, in the order of the request. */
export interface Subscribed {
    results: NameResult[];
}
/** NameResult says whether a name was subscribed to. */
export interface NameResult {
    name: string;
    error?: Error;
}
/** EventPublish tells all subscribers of an event but the sender. */
export interface EventPublish {
    scope?: Scope;
    name: string;
    value?: unknown;
}
/** RPCNames are RPCs that the session provides. */
export interface RPCNames {
    scope?: Scope;
    names: string[];
}
/** RPCRequest asks a provider. The event rpc-result follows. */
export interface RPCRequest {
    scope?: Scope;
    name: string;
    /** call is chosen by the client, unique in its session. */
    call: number;
    value?: unknown;
}
/** RPCAccept says that the provider takes a call. It begins after the reply. */
export interface RPCAccept {
    scope?: Scope;
    call: number;
}
/** RPCReject leaves a call to the next provider. */
export interface RPCReject {
    scope?: Scope;
    call: number;
}
/** RPCAnswer answers a call that the provider has accepted. */
export interface RPCAnswer {
    scope?: Scope;
    call: number;
    value?: unknown;
    /** failure says what went wrong, in place of a value. */
    failure?: string;
}
/** Listen makes the session an active provider: it is told which names of the pattern somebody is subscribed to. */
export interface Listen {
    scope?: Scope;
    kind: ListenKind;
    pattern: string;
}
/** Unlisten ends that. */
export interface Unlisten {
    scope?: Scope;
    kind: ListenKind;
    pattern: string;
}
/** ListenReject leaves a name to the next provider. */
export interface ListenReject {
    scope?: Scope;
    kind: ListenKind;
    name: string;
}
/** PresenceSubscribe subscribes to who is there. */
export interface PresenceSubscribe {
    scope?: Scope;
    /** identities to be told of; absent: all. */
    identities?: string[];
}
/** PresenceUnsubscribe ends such subscriptions. */
export interface PresenceUnsubscribe {
    scope?: Scope;
    identities?: string[];
}
/** PresenceRead asks who is there. */
export interface PresenceRead {
    scope?: Scope;
    /** identities to be asked about; absent: all. */
    identities?: string[];
    /** after is the last identity of the reply before, if that had more. */
    after?: string;
}
/** Present lists those who are there, of those who were asked for, by name. */
export interface Present {
    identities: string[];
    /** refused are those about whom nothing is told, and why. */
    refused?: NameResult[];
    /** more: there are more, which presence-read gives with After. */
    more?: boolean;
}
/** LogRead reads the room's log. */
export interface LogRead {
    /** after is the cursor of the last entry that the client has; 0: from the oldest that is kept. */
    after: number;
    /** limit of entries; absent: MaxLogEntries. */
    limit?: number;
}
/** Log answers LogRead. */
export interface Log {
    entries: LogEntry[];
    /**
     * after is the cursor to ask with for what follows. Where it is Last, nothing does yet; there may be more where
     * there are no entries.
     */
    after: number;
    /** first is the cursor of the oldest entry that is kept. */
    first: number;
    /**
     * complete is the cursor from which on none is gone; before it are entries about records alone, or only others. If
     * it is above After + 1 of the reading before, entries are gone.
     */
    complete: number;
    /** last is the cursor of the newest. */
    last: number;
}
/** LogEntry is one thing that happened in a room, as the event of that type tells it. */
export interface LogEntry {
    cursor: number;
    at: string;
    type: string;
    body: unknown;
}
/** RecordChanged tells who is subscribed to a whole record what was written. It applies to the version before. */
export interface RecordChanged {
    scope: Scope;
    name: string;
    incarnation: number;
    /** 1: the record was created, and the operations begin with nothing */
    version: number;
    operations: Operation[];
    /** whose identity wrote it */
    by?: string;
}
/** RecordPart tells who is subscribed to a path that the value there has changed. */
export interface RecordPart {
    scope: Scope;
    name: string;
    path: string;
    incarnation: number;
    version: number;
    /** value is absent where there is nothing any more. */
    value?: unknown;
    by?: string;
}
/** RecordDeleted tells that a record was deleted, or that its time is over. Subscriptions stay. */
export interface RecordDeleted {
    scope: Scope;
    name: string;
    incarnation: number;
    /** its last */
    version: number;
    expired?: boolean;
    by?: string;
}
/**
 * RecordNoted is what a room's log tells of a change instead of RecordChanged or RecordDeleted, where it does not
 * tell what was written.
 */
export interface RecordNoted {
    scope: Scope;
    name: string;
    incarnation: number;
    version: number;
}
/** RecordProvided tells a record's subscribers whether a pattern's provider is active for it. */
export interface RecordProvided {
    scope: Scope;
    name: string;
    provided: boolean;
}
/** EventPublished is an event as its subscribers get it. */
export interface EventPublished {
    scope: Scope;
    name: string;
    value?: unknown;
    from?: string;
}
/** RPCCall asks a provider to accept or to reject, and then to answer. */
export interface RPCCall {
    scope: Scope;
    name: string;
    /** unique in the scope */
    call: number;
    value?: unknown;
    from?: string;
}
/** RPCResult ends a call: with a value, or with an error. */
export interface RPCResult {
    scope: Scope;
    /** as in rpc-request */
    call: number;
    value?: unknown;
    error?: Error;
}
/**
 * ListenStart tells the provider of a pattern that somebody has subscribed to these names, which are now its to
 * provide.
 */
export interface ListenStart {
    scope: Scope;
    kind: ListenKind;
    pattern: string;
    names: string[];
}
/** ListenStop tells that nobody is subscribed to these any more. */
export interface ListenStop {
    scope: Scope;
    kind: ListenKind;
    pattern: string;
    names: string[];
}
/** PresenceJoined tells that an identity has its first connection. */
export interface PresenceJoined {
    scope: Scope;
    identity: string;
}
/** PresenceLeft tells that an identity has lost its last connection. */
export interface PresenceLeft {
    scope: Scope;
    identity: string;
}
/** StateUnsubscribed tells that the rules do not allow something any more. */
export interface StateUnsubscribed {
    scope: Scope;
    kind: SubscriptionKind;
    name?: string;
    path?: string;
    error?: Error;
}
/**
 * StateLost tells that all subscriptions, provided RPCs and patterns of the session in this scope are gone,
 * because messages about them were. The client makes them again.
 */
export interface StateLost {
    scope: Scope;
}
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
    "record-subscribe": {
        body: RecordSubscribe;
        reply: "records";
        replyBody: Records;
    };
    "record-unsubscribe": {
        body: RecordUnsubscribe;
        reply: "ok";
        replyBody: OK;
    };
    "record-read": {
        body: RecordRead;
        reply: "records";
        replyBody: Records;
    };
    "record-write": {
        body: RecordWrite;
        reply: "written";
        replyBody: Written;
    };
    "record-delete": {
        body: RecordDelete;
        reply: "ok";
        replyBody: OK;
    };
    "event-subscribe": {
        body: EventNames;
        reply: "subscribed";
        replyBody: Subscribed;
    };
    "event-unsubscribe": {
        body: EventNames;
        reply: "ok";
        replyBody: OK;
    };
    "event-publish": {
        body: EventPublish;
        reply: "ok";
        replyBody: OK;
    };
    "rpc-provide": {
        body: RPCNames;
        reply: "subscribed";
        replyBody: Subscribed;
    };
    "rpc-unprovide": {
        body: RPCNames;
        reply: "ok";
        replyBody: OK;
    };
    "rpc-request": {
        body: RPCRequest;
        reply: "ok";
        replyBody: OK;
    };
    "rpc-accept": {
        body: RPCAccept;
        reply: "ok";
        replyBody: OK;
    };
    "rpc-reject": {
        body: RPCReject;
        reply: "ok";
        replyBody: OK;
    };
    "rpc-answer": {
        body: RPCAnswer;
        reply: "ok";
        replyBody: OK;
    };
    listen: {
        body: Listen;
        reply: "ok";
        replyBody: OK;
    };
    unlisten: {
        body: Unlisten;
        reply: "ok";
        replyBody: OK;
    };
    "listen-reject": {
        body: ListenReject;
        reply: "ok";
        replyBody: OK;
    };
    "presence-subscribe": {
        body: PresenceSubscribe;
        reply: "present";
        replyBody: Present;
    };
    "presence-unsubscribe": {
        body: PresenceUnsubscribe;
        reply: "ok";
        replyBody: OK;
    };
    "presence-read": {
        body: PresenceRead;
        reply: "present";
        replyBody: Present;
    };
    "log-read": {
        body: LogRead;
        reply: "log";
        replyBody: Log;
    };
}
/** Every reply by its type. */
export interface Replies {
    joined: Joined;
    resumed: Resumed;
    ok: OK;
    answer: Answer;
    records: Records;
    written: Written;
    subscribed: Subscribed;
    present: Present;
    log: Log;
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
    "grants-changed": GrantsChanged;
    draining: Draining;
    resync: Resync;
    ended: Ended;
    "record-changed": RecordChanged;
    "record-part": RecordPart;
    "record-deleted": RecordDeleted;
    "record-provided": RecordProvided;
    event: EventPublished;
    "rpc-call": RPCCall;
    "rpc-result": RPCResult;
    "listen-start": ListenStart;
    "listen-stop": ListenStop;
    "presence-joined": PresenceJoined;
    "presence-left": PresenceLeft;
    "state-unsubscribed": StateUnsubscribed;
    "state-lost": StateLost;
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

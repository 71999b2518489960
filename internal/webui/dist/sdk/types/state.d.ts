import type { ChatMessage, Code, Codecs, EventMessage, Participant, Publication, Snapshot, Speakers } from "./wire.gen.js";
export type Change = {
    readonly is: "participant-joined";
    readonly participant: Participant;
} | {
    readonly is: "participant-left";
    readonly identity: string;
    readonly reason: Code;
} | {
    readonly is: "participant-updated";
    readonly identity: string;
    readonly name: string;
    readonly metadata: string;
} | {
    readonly is: "published";
    readonly identity: string;
    readonly publication: Publication;
} | {
    readonly is: "unpublished";
    readonly identity: string;
    readonly publication: string;
} | {
    readonly is: "republished";
    readonly identity: string;
    readonly before: string;
    readonly publication: Publication;
} | {
    readonly is: "muted";
    readonly identity: string;
    readonly publication: string;
    readonly muted: boolean;
} | {
    readonly is: "message";
    readonly message: ChatMessage;
} | {
    readonly is: "gap";
} | {
    readonly is: "codecs";
    readonly codecs: Codecs;
} | {
    readonly is: "speakers";
    readonly speakers: Speakers;
};
/** Messages that are kept. The server gives the last limits.maxChatKept to who joins. */
export declare const maxMessages = 5000;
export declare class RoomState {
    #private;
    get revision(): number;
    /** Chat, oldest first. */
    get messages(): readonly ChatMessage[];
    get codecs(): Codecs;
    /** The server had perhaps more messages than it gave. */
    get isCut(): boolean;
    /** Puts older messages before those that are known, as many as can be kept. */
    addOlder(messages: readonly ChatMessage[]): void;
    /** Whether a message is known. */
    knows(message: ChatMessage): boolean;
    /** Replaces everything that is known; what differs comes out as changes. */
    replace(room: Snapshot): Change[];
    /** Applies one event. An event that tells what is known already changes nothing. */
    apply(event: EventMessage): Change[];
}

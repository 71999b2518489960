import type { EventMessage, ReplyMessage, RequestMessage, Requests } from "./wire.gen.js";
import type { ServerMessage } from "./signalling/carrier.js";
/** What a message means to its session. */
export type Reading = {
    readonly is: "reply";
    readonly message: ReplyMessage;
    readonly request: RequestMessage;
} | {
    readonly is: "event";
    readonly message: EventMessage;
} | {
    readonly is: "known";
} | {
    readonly is: "gap";
};
export declare class Ledger {
    #private;
    /** The number of the last message that was seen. */
    get seen(): number;
    /** Numbers a request and waits for its reply. */
    ask<T extends keyof Requests>(type: T, body: Requests[T]["body"]): RequestMessage;
    /** Nobody waits for this reply any more. */
    forget(id: number): void;
    /** Requests to send again over a new connection, oldest first. The server answers each once more, and acts once. */
    unanswered(): RequestMessage[];
    /** A new session has begun: its numbers start anew, and what was asked in the old one will not be answered. */
    restart(): void;
    read(message: ServerMessage): Reading;
}

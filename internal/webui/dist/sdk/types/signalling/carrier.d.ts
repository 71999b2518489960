import type { EventMessage, ReplyMessage, RequestMessage } from "../wire.gen.js";
export type ServerMessage = ReplyMessage | EventMessage;
/** One way to reach a server. A session that loses its connection opens another one on the same carrier. */
export interface Carrier {
    /** Resolves when requests can be sent. Rejects with a ConnectionError, or with the signal's reason. */
    open(inbox: Inbox, signal: AbortSignal): Promise<Connection>;
}
export interface Connection {
    send(request: RequestMessage): void;
    /** Ends the connection; its inbox hears nothing more. */
    close(): void;
}
export interface Inbox {
    received(message: ServerMessage): void;
    /** Called at most once, and never after close(). Status: why, as in docs/protocol.md, section 2.1; undefined: nobody knows. */
    closed(status?: number): void;
}

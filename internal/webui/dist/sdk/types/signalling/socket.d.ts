import { ParleyError } from "../errors.js";
import type { Carrier, Connection, Inbox, ServerMessage } from "./carrier.js";
export declare class SocketCarrier implements Carrier {
    #private;
    constructor(url: string | URL);
    open(inbox: Inbox, signal: AbortSignal): Promise<Connection>;
}
/** The error for a refusal's problem details (RFC 9457). */
export declare function originRefused(problem: unknown): ParleyError | undefined;
/** Reads the envelope. Bodies are the server's word; an unknown type is for the session to pass over. */
export declare function parse(text: unknown): ServerMessage | undefined;
/** The socket's address for a server's address: https://host/ → wss://host/v1/session. */
export declare function socketURL(server: string | URL): string;

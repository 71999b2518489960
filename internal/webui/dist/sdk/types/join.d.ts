import { Room } from "./room.js";
import { type TokenSource } from "./session.js";
import type { Carrier } from "./signalling/carrier.js";
export interface JoinOptions {
    /** The server's address, "https://parley.example"; default: where the page came from. */
    readonly url?: string | URL;
    readonly room: string;
    /** For display. */
    readonly name?: string;
    /** Unique in the room; default: made by the server. With a token, the token decides. */
    readonly identity?: string;
    readonly metadata?: string;
    /**
     * A JWT, where the server asks for one. One lets in once: after a longer outage, or when the server has started again, the room is joined anew. Where it
     * may be over by then, give a function, which is asked each time and has 10 s.
     */
    readonly token?: TokenSource;
    /** Subscribe to nothing until subscription.want(true). */
    readonly manualSubscribe?: boolean;
    /**
     * How many cameras to see at once: those with priority, then of those who spoke last. The others' subscriptions are "pending", and isLeftOut.
     * Default: as many as there are slots for.
     */
    readonly lastN?: number;
    /**
     * Keeps in this browser what records of the room were last known, and what is written to their paths while there is no connection: records are
     * there at once then, and what was set or erased is written when the same identity joins again, also when it was rejected because the page was
     * closed or the room was left; a record's "discarded" tells what was not. Give an identity, or a token: else whoever joins next has the same. See SharedRecord.isLive, and lastKnown().
     * Whoever uses this browser can read it. Default: nothing is kept.
     */
    readonly cache?: boolean;
    /** Ends joining. Afterwards it has no effect: use room.leave(). */
    readonly signal?: AbortSignal;
    /** Another way to the server than its WebSocket. */
    readonly carrier?: Carrier;
}
/** Joins a room. Resolves when the server has let the participant in; media connect after that ("connectionstate"). */
export declare function join(options: JoinOptions): Promise<Room>;

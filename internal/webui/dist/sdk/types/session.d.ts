import { ParleyError } from "./errors.js";
import type { Carrier } from "./signalling/carrier.js";
import { type EventMessage, type Join, type Joined, type Requests } from "./wire.gen.js";
/** Requests that wait for a reply, or for a connection. Beyond it those are refused that an application asks as often as it likes. */
export declare const maxWaiting = 512;
export type SessionState = {
    readonly at: "new";
} | {
    readonly at: "open";
} | {
    readonly at: "resuming";
    readonly reason?: ParleyError;
} | {
    readonly at: "rejoining";
} | {
    readonly at: "ended";
    readonly error: ParleyError;
};
/** Who is told. Calls come after the state has changed. */
export interface SessionObserver {
    event(message: EventMessage): void;
    /** A new session took the place of an expired one: all that the old one had published, slots and answers, is gone. */
    rejoined(joined: Joined): void;
    stateChanged(state: SessionState): void;
}
/** A token, or where to get one: it is asked for whenever the session joins, as the one before may be over. */
export type TokenSource = string | (() => string | Promise<string>);
/** What a session joins with. */
export type Entry = Omit<Join, "protocol" | "token"> & {
    readonly token?: TokenSource;
};
export declare class Session {
    #private;
    constructor(carrier: Carrier, entry: Entry, observer: SessionObserver);
    get state(): SessionState;
    /** Joins for the first time: one try, so that a wrong address or token is told at once. */
    open(signal?: AbortSignal): Promise<Joined>;
    /** Asks the server. While the connection is lost the request waits; its time limit runs while there is one. */
    request<T extends keyof Requests>(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]>;
    /** Ends the session, telling the server where it can still be told. */
    leave(): void;
    /** The network may be back: try again now instead of after the pause. */
    wake(): void;
    /**
     * The network may have changed: a connection over which the server does not answer soon is given up, and another one is tried at once.
     * Resolves with whether it answers.
     */
    check(): Promise<boolean>;
    /** A lost session joins again as this participant. */
    remember(identity: string): void;
}
/** The pause before a try: 0.3 s, doubling up to 5 s, ± a quarter so that clients of a restarted server do not come at once. */
export declare function backoff(attempt: number, random: number): number;

import { type ParleyError } from "../errors.js";
import { type Requests, type Scope } from "../wire.gen.js";
/** The session, as shared state sees it. */
export interface StateLink {
    /** Requests reach the server now. */
    readonly isOpen: boolean;
    /** Who writes here. */
    readonly identity: string;
    /** Nothing reaches it ever again. */
    readonly isEnded: boolean;
    /** The number of the next call: unique in the session. */
    nextCall(): number;
    request<T extends keyof Requests>(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]>;
}
/** Requests whose body names a scope. */
type Scoped = {
    [T in keyof Requests]: Requests[T]["body"] extends {
        scope?: Scope;
    } ? T : never;
}[keyof Requests];
type Body<T extends Scoped> = Omit<Requests[T]["body"], "scope">;
/** Asks about one scope. */
export declare class Asker {
    #private;
    constructor(link: StateLink, scope: Scope);
    get isOpen(): boolean;
    get identity(): string;
    /** Nothing reaches the server ever again. */
    get isEnded(): boolean;
    /** Whether the same may go well a little later. */
    isCrowded(error: ParleyError): boolean;
    /** Whether what is kept over lost sessions will be asked for again in the next one. */
    isRestored(error: ParleyError): boolean;
    nextCall(): number;
    ask<T extends Scoped>(type: T, body: Body<T>): Promise<Requests[T]["replyBody"]>;
    /** Asks again, later, while the server says that it is too much at once. The body is made anew each time; undefined: nothing is asked. */
    insist<T extends Scoped>(type: T, body: () => Body<T> | undefined): Promise<Requests[T]["replyBody"] | undefined>;
    /** The same for what is kept until somebody ends it: nothing that passes is its end. */
    keep<T extends Scoped>(type: T, body: () => Body<T> | undefined): Promise<Requests[T]["replyBody"] | undefined>;
}
/** As long as the server says, and longer with each attempt. */
export declare function pause({ retrySeconds }: ParleyError, attempt?: number): Promise<void>;
/** What is told to whoever made something that is kept. */
export interface EndHandler {
    /** It has ended, and not because this client ended it: it is not allowed any more, or the room is over. */
    ended?(error: ParleyError): void;
}
/** Names whose subscriptions end, in requests of as many as there may be. */
export declare class Ending {
    #private;
    /** End asks the server; it is given the names anew for each attempt. */
    constructor(isUsed: (name: string) => boolean, end: (names: () => string[] | undefined) => Promise<unknown>);
    add(name: string): void;
}
/** Calls what the application has given; what that throws is the page's, as with event listeners. */
export declare function tell(act: () => unknown): void;
export {};

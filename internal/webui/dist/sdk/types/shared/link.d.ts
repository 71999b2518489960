import { type ParleyError } from "../errors.js";
import type { Requests, Scope } from "../wire.gen.js";
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
    /** Whether the same may go well a little later. */
    isCrowded(error: ParleyError): boolean;
    nextCall(): number;
    ask<T extends Scoped>(type: T, body: Body<T>): Promise<Requests[T]["replyBody"]>;
    /** Asks again, later, while the server says that it is too much at once. */
    insist<T extends Scoped>(type: T, body: Body<T>): Promise<Requests[T]["replyBody"]>;
}
export declare function pause(error: ParleyError): Promise<void>;
/** Calls what the application has given; what that throws is the page's, as with event listeners. */
export declare function tell(act: () => unknown): void;
export {};

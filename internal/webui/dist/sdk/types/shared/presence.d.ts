import { type ParleyError } from "../errors.js";
import { type Listener, TypedEventTarget } from "../events.js";
export interface PresenceEvents {
    join: {
        readonly identity: string;
    };
    leave: {
        readonly identity: string;
    };
    /** What was watched is not allowed any more, or the room is over: those identities; undefined: all at once. */
    ended: {
        readonly error: ParleyError;
        readonly identities: readonly string[] | undefined;
    };
}
/**
 * Who comes and goes. Whoever begins to listen to "join" or "leave" while nobody is watched watches all, unless watch() or unwatch() says otherwise
 * after that in the same task.
 */
export declare class Presence extends TypedEventTarget<PresenceEvents> {
    #private;
    /** Those of the watched who are there now. */
    get present(): ReadonlySet<string>;
    addEventListener<K extends keyof PresenceEvents & string>(type: K, listener: Listener<PresenceEvents, K> | null, options?: boolean | AddEventListenerOptions): void;
    /** Asks who is there, of those named or of all. Rejects where none of those named may be asked about. */
    list(identities?: readonly string[]): Promise<readonly string[]>;
    /**
     * From now on "join" and "leave" are told, of those named or of all, also over lost connections. Resolves with who is there. Where some of those
     * named may not be watched, "ended" says so; where none may, it rejects.
     */
    watch(identities?: readonly string[]): Promise<readonly string[]>;
    /** Ends watching those named, or all at once; who is watched by name stays. */
    unwatch(identities?: readonly string[]): Promise<void>;
}

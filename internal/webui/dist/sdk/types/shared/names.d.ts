import { ParleyError } from "../errors.js";
import { type Asker, type EndHandler } from "./link.js";
export declare class Names<T extends EndHandler> {
    #private;
    constructor(asker: Asker, add: "event-subscribe" | "rpc-provide", remove: "event-unsubscribe" | "rpc-unprovide");
    /** Who uses a name. */
    of(name: string): readonly T[];
    /** Calls what tells whoever uses a name, one after the other. What one does may end another. */
    each(name: string, act: (user: T) => void): void;
    /** Resolves when the server knows the name; with how to end it. */
    use(name: string, user: T): Promise<() => void>;
    /** The server has forgotten all of it. */
    restore(): void;
    /** It is not allowed any more, or the session has ended. */
    end(error: ParleyError, names?: Iterable<string>): void;
}

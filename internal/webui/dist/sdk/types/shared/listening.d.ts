import { type ParleyError } from "../errors.js";
import type { ListenKind, ListenStart, ListenStop } from "../wire.gen.js";
import { type Asker, type EndHandler } from "./link.js";
export interface ListenHandlers extends EndHandler {
    /** Somebody has subscribed to this name, which is now this client's to provide. False leaves it to the next provider. */
    start(name: string): boolean | void;
    /** Nobody is subscribed any more, or another client provides it. */
    stop(name: string): void;
}
export declare class Listening {
    #private;
    constructor(asker: Asker);
    listen(kind: ListenKind, pattern: string, handlers: ListenHandlers): Promise<() => void>;
    started({ kind, pattern, names }: ListenStart): void;
    stopped({ kind, pattern, names }: ListenStop): void;
    /** Others provide meanwhile what this client has provided. */
    lose(): void;
    restore(): void;
    end(error: ParleyError, which?: (kind: ListenKind, pattern: string) => boolean): void;
}

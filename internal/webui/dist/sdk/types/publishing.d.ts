import type { ParleyError } from "./errors.js";
import type { LocalPublication } from "./publication.js";
/** A publication that the server has not confirmed yet. */
export interface Publishing {
    readonly promise: Promise<LocalPublication>;
    readonly resolve: (publication: LocalPublication) => void;
    readonly reject: (reason: ParleyError) => void;
    readonly again: boolean;
}
export declare function publishing(again: boolean): Publishing;

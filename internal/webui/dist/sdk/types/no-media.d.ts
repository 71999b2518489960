import { MediaError } from "./errors.js";
/** The error that tells it, from the answer's candidates (RFC 8839 §5.1). */
export declare function noMedia(answer: string): MediaError;

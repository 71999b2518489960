/**
 * Lets the browser send Opus with discontinuous transmission on these m-lines: the receiver's wish decides (RFC 7587 §6.1), so
 * it goes into the answer.
 */
export declare function allowDtx(answer: string, mids: ReadonlySet<string>): string;

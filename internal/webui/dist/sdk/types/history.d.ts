import type { ChatMessage, Log, LogRead } from "./wire.gen.js";
export type ReadLog = (body: LogRead) => Promise<Log>;
export declare class ChatHistory {
    #private;
    constructor(read: ReadLog);
    /** Nothing older is left. */
    get isOver(): boolean;
    /** The next older messages, oldest first: those of the first page that has some of which isKnown says no. */
    older(isKnown: (message: ChatMessage) => boolean): Promise<readonly ChatMessage[]>;
}

import { type Json, type JsonOf } from "./json.js";
import type { EndHandler } from "./link.js";
/** Whom an event came from. */
export interface EventInfo {
    /** The publisher's identity; undefined: the server. */
    readonly from: string | undefined;
}
export type TopicListener = (value: Json | undefined, info: EventInfo) => void;
export interface Subscriber extends EndHandler {
    readonly listener: TopicListener;
}
export declare class Topic {
    #private;
    readonly name: string;
    /** Tells all who are subscribed, but this client. Resolves when the server has it, whether anybody is there or not. */
    publish<T>(value?: T & JsonOf<T>): Promise<void>;
    /** Resolves when the subscription stands, with a function that ends it. It is kept while the connection is lost. */
    subscribe(listener: TopicListener, { ended }?: EndHandler): Promise<() => void>;
}

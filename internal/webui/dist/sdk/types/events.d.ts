/** A map from an event's type to its details. */
export type Details = Record<string, object>;
/** The event of type K: a platform Event with its details. */
export type EventOf<M, K extends keyof M> = Event & {
    readonly type: K;
} & Readonly<M[K]>;
export type Listener<M, K extends keyof M> = (event: EventOf<M, K>) => void;
/** EventTarget whose listeners know what they get. */
export interface TypedEventTarget<M> {
    addEventListener<K extends keyof M & string>(type: K, listener: Listener<M, K> | null, options?: boolean | AddEventListenerOptions): void;
    removeEventListener<K extends keyof M & string>(type: K, listener: Listener<M, K> | null, options?: boolean | EventListenerOptions): void;
    dispatchEvent(event: Event): boolean;
}
interface TypedEventTargetConstructor {
    new <M>(): TypedEventTarget<M>;
}
/** The base class: EventTarget itself, under a type that is stricter than the platform's. */
export declare const TypedEventTarget: TypedEventTargetConstructor;
/** Dispatches an event. Callers change their state first. */
export declare function emit<M, K extends keyof M & string>(target: TypedEventTarget<M>, type: K, details: M[K] & object): void;
export {};

// Typed events on the platform's EventTarget. An event's details are properties of the event itself: e.subscription.

/** A map from an event's type to its details. */
export type Details = Record<string, object>;

/** The event of type K: a platform Event with its details. */
export type EventOf<M, K extends keyof M> = Event & { readonly type: K } & Readonly<M[K]>;

export type Listener<M, K extends keyof M> = (event: EventOf<M, K>) => void;

/** EventTarget whose listeners know what they get. */
export interface TypedEventTarget<M> {
  addEventListener<K extends keyof M & string>(
    type: K,
    listener: Listener<M, K> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof M & string>(
    type: K,
    listener: Listener<M, K> | null,
    options?: boolean | EventListenerOptions,
  ): void;
  dispatchEvent(event: Event): boolean;
}

interface TypedEventTargetConstructor {
  new <M>(): TypedEventTarget<M>;
}

/** The base class: EventTarget itself, under a type that is stricter than the platform's. */
export const TypedEventTarget = EventTarget as unknown as TypedEventTargetConstructor;

class DetailedEvent extends Event {
  constructor(type: string, details: object) {
    super(type);
    Object.assign(this, details);
  }
}

/** Dispatches an event. Callers change their state first. */
export function emit<M, K extends keyof M & string>(target: TypedEventTarget<M>, type: K, details: M[K] & object): void {
  target.dispatchEvent(new DetailedEvent(type, details));
}

// Events by name: fire and forget, to whom is subscribed and connected at that moment.

import { limits } from "../wire.gen.js";
import { checkName, type Json, type JsonOf, payload } from "./json.js";
import type { Asker, EndHandler } from "./link.js";
import type { Names } from "./names.js";

/** Whom an event came from. */
export interface EventInfo {
  /** The publisher's identity; undefined: the server. */
  readonly from: string | undefined;
}

export type TopicListener = (value: Json | undefined, info: EventInfo) => void;

export interface Subscriber extends EndHandler {
  readonly listener: TopicListener;
}

export class Topic {
  readonly name: string;
  readonly #asker: Asker;
  readonly #names: Names<Subscriber>;

  /** @internal */
  constructor(name: string, asker: Asker, names: Names<Subscriber>) {
    this.name = name;
    this.#asker = asker;
    this.#names = names;
  }

  /** Tells all who are subscribed, but this client. Resolves when the server has it, whether anybody is there or not. */
  async publish<T>(value?: T & JsonOf<T>): Promise<void> {
    checkName(this.name);
    await this.#asker.ask("event-publish", { name: this.name, ...payload("event", value, limits.maxEventBytes) });
  }

  /** Resolves when the subscription stands, with a function that ends it. It is kept while the connection is lost. */
  subscribe(listener: TopicListener, { ended }: EndHandler = {}): Promise<() => void> {
    return this.#names.use(this.name, { listener, ...(ended && { ended }) });
  }
}
